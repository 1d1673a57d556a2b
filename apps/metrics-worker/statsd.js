import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';

/** A datagram in pieces is lost as a whole when one is: 1,500 bytes of Ethernet less the headers, and room for tunnels. */
const LONGEST_DATAGRAM = 1_400;

/**
 * Collects metrics and sends them once per interval as statsd lines. UDP is the point: a backend that is away costs the
 * worker nothing. What cannot be handed to the network is kept and sent later, so only datagrams on the wire can get lost.
 */
export class Statsd {
  /** @type {Map<string, number>} */
  #counters = new Map();
  /** @type {Map<string, number>} */
  #gauges = new Map();
  /** @type {string[]} */
  #timers = [];
  #socket;
  #prefix;
  #host;
  #port;

  /** @param {{ host: string, port: number, prefix: string }} where */
  constructor({ host, port, prefix }) {
    this.#host = host;
    this.#port = port;
    this.#prefix = prefix;
    this.#socket = createSocket({ type: 'udp4' });
    // A refused datagram (nobody listens) is reported on the socket much later, and concerns no particular send.
    this.#socket.on('error', () => {});
    // The flush timer keeps the process alive, not the socket.
    this.#socket.unref();
  }

  /** @param {string} name */
  count(name, by = 1) {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + by);
  }

  /** @param {string} name @param {number} value */
  gauge(name, value) {
    this.#gauges.set(name, value);
  }

  /** @param {string} name @param {number} milliseconds */
  time(name, milliseconds) {
    // A backend that is away for long must not fill the memory; the oldest timings are worth least.
    if (this.#timers.length === 10_000) this.#timers.shift();
    this.#timers.push(`${this.#prefix}.${name}:${round(milliseconds)}|ms`);
  }

  /**
   * Sends what was collected. Resolves to the counters that were handed to the network; rejects when the host has no
   * address, and then everything is kept.
   * @returns {Promise<Map<string, number>>}
   */
  async flush() {
    // Looked up each time: a backend that was replaced has another address.
    const { address } = await lookup(this.#host, 4);
    const counters = this.#counters;
    const lines = [...counters].map(([name, value]) => `${this.#prefix}.${name}:${value}|c`);
    lines.push(...[...this.#gauges].map(([name, value]) => `${this.#prefix}.${name}:${round(value)}|g`), ...this.#timers);
    this.#counters = new Map();
    this.#gauges = new Map();
    this.#timers = [];
    for (const datagram of datagrams(lines)) await this.#send(datagram, address);
    return counters;
  }

  close() {
    this.#socket.close();
  }

  /** @param {string} datagram @param {string} address */
  #send(datagram, address) {
    // Sent or not, the rest is tried too: statsd has no acknowledgement that would make a difference known.
    return new Promise((resolve) => this.#socket.send(datagram, this.#port, address, resolve));
  }
}

/** Packs lines into as few datagrams as possible. @param {string[]} lines */
export function* datagrams(lines, longest = LONGEST_DATAGRAM) {
  let text = '';
  for (const line of lines) {
    if (text && text.length + 1 + line.length > longest) {
      yield text;
      text = '';
    }
    text += text ? `\n${line}` : line;
  }
  if (text) yield text;
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 1_000) / 1_000;
}
