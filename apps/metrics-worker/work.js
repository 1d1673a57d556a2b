/** Counts the primes below `end`: real work, and long enough to be worth a timer. @param {number} end */
export function primesBelow(end) {
  const isComposite = new Uint8Array(Math.max(end, 0));
  let count = 0;
  for (let number = 2; number < end; number++) {
    if (isComposite[number]) continue;
    count++;
    for (let multiple = number * number; multiple < end; multiple += number) isComposite[multiple] = 1;
  }
  return count;
}
