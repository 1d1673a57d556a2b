import { writeFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Statsd } from './statsd.js';
import { primesBelow } from './work.js';

const TICK_MS = 100;
const SIEVE_SIZE = 50_000;
const HEARTBEAT_MS = 1_000;

/** @typedef {(level: string, message: string, fields?: Record<string, unknown>) => void} Log */

/**
 * Starts to tick: each tick does a piece of work and measures it. `stop` ends the ticking, sends what is left and says how
 * many ticks this process did and sent. Both numbers are equal when nothing was held back.
 * @param {import('./settings.js').Settings} settings @param {Log} log
 */
export function startWorker(settings, log) {
  // The release is in the name, so that a bad one is visible at a glance; so is the replica, since each has gauges of its own.
  const { release, replica } = settings.me;
  const statsd = new Statsd({ ...settings, prefix: `${settings.me.app}.${release}.${replica}` });
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  let [ticks, sent, isFlushing, wasAway] = [0, 0, false, false];

  const ticking = setInterval(() => {
    const started = performance.now();
    const primes = primesBelow(SIEVE_SIZE);
    statsd.time('sieve', performance.now() - started);
    statsd.count('primes', primes);
    statsd.count('ticks');
    ticks++;
  }, TICK_MS);

  const flushing = setInterval(flush, settings.flushEvery);
  async function flush() {
    // A slow lookup must not be overtaken by the next one.
    if (isFlushing) return;
    isFlushing = true;
    statsd.gauge('event_loop_delay_ms', delay.percentile(99) / 1e6);
    statsd.gauge('memory_bytes', process.memoryUsage.rss());
    delay.reset();
    try {
      sent += (await statsd.flush()).get('ticks') ?? 0;
      if (wasAway) log('info', 'the metrics backend has an address again');
      wasAway = false;
    } catch (error) {
      // Told once per outage: it is the backend's trouble, the work goes on and the metrics are kept.
      if (!wasAway) log('warn', 'the metrics backend has no address, metrics are kept', { error: String(error) });
      wasAway = true;
    } finally {
      isFlushing = false;
    }
  }

  // Written when there were ticks since the last time: it says that the work goes on, not that a backend is there.
  let beaten = 0;
  const beating = setInterval(async () => {
    if (ticks === beaten) return;
    beaten = ticks;
    await writeFile(settings.heartbeat, `${ticks}\n`).catch((error) => {
      log('error', 'the heartbeat file cannot be written', { error: String(error) });
    });
  }, HEARTBEAT_MS);

  return {
    async stop() {
      clearInterval(ticking);
      clearInterval(flushing);
      clearInterval(beating);
      // One that is under way has the older metrics; they must be on their way before the socket closes.
      while (isFlushing) await new Promise((resolve) => setTimeout(resolve, 5));
      await flush();
      delay.disable();
      statsd.close();
      return { ticks, sent };
    },
  };
}
