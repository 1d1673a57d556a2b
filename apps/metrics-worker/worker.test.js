import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { settings } from './settings.js';
import { datagrams } from './statsd.js';
import { primesBelow } from './work.js';

/** A UDP server that keeps every line. @param {import('node:test').TestContext} t */
async function backend(t) {
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  /** @type {string[]} */
  const lines = [];
  socket.on('message', (message) => lines.push(...String(message).split('\n')));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { lines, port: socket.address().port };
}

/** @param {() => boolean} isSo @param {string} what */
async function within(isSo, what) {
  for (const deadline = Date.now() + 20_000; !isSo(); await new Promise((resolve) => setTimeout(resolve, 10))) {
    assert.ok(Date.now() < deadline, `${what}: not so within 20 s`);
  }
}

/** @param {string[]} lines @param {string} name */
function sum(lines, name) {
  const ours = lines.filter((line) => line.startsWith(`${name}:`) && line.endsWith('|c'));
  return ours.reduce((total, line) => total + Number.parseInt(line.slice(name.length + 1), 10), 0);
}

/** Runs the worker as it is deployed. @param {Record<string, string>} env */
async function run(env) {
  const heartbeat = join(await mkdtemp(join(tmpdir(), 'worker-')), 'heartbeat');
  const child = spawn(process.execPath, ['main.js'], { env: { PATH: process.env.PATH, HEARTBEAT_FILE: heartbeat, ...env } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (text) => {
    stdout += text;
  });
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  return { child, heartbeat, ended: once(child, 'close'), out: () => stdout, err: () => stderr };
}

test('a stop loses no tick: what was done, what was sent and what arrived are the same number', async (t) => {
  const { lines, port } = await backend(t);
  const release = { DEPLOY_APPS_RELEASE: 'r8', DEPLOY_APPS_REPLICA: '2' };
  // The flush interval is far away: only the flush of the stop can have sent them.
  const worker = await run({
    ...release,
    METRICS_BACKEND_HOST: '127.0.0.1',
    METRICS_BACKEND_PORT: `${port}`,
    METRICS_FLUSH_MS: '60000',
  });
  await within(() => worker.out().includes('working'), 'it works');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  worker.child.kill('SIGTERM');
  assert.deepEqual(await worker.ended, [0, null]);
  const last = JSON.parse(worker.out().trim().split('\n').at(-1) ?? '');
  assert.equal(last.message, 'stopped, everything sent');
  assert.ok(last.ticks > 0 && last.ticks === last.sent, worker.out());
  await within(() => sum(lines, 'metrics-worker.r8.2.ticks') === last.ticks, 'the ticks arrive');
  assert.equal(sum(lines, 'metrics-worker.r8.2.primes'), last.ticks * 5_133);
  for (const shape of [/\.sieve:[\d.]+\|ms$/, /\.event_loop_delay_ms:[\d.]+\|g$/, /\.memory_bytes:\d+\|g$/]) {
    assert.ok(
      lines.some((line) => shape.test(line)),
      `${shape} in ${lines.join(' ')}`,
    );
  }
});

test('a backend without an address stops nothing, and the stop says what was not sent', async (t) => {
  const worker = await run({ METRICS_BACKEND_HOST: 'nobody.invalid', METRICS_BACKEND_PORT: '8125', METRICS_FLUSH_MS: '100' });
  t.after(() => worker.child.kill('SIGKILL'));
  await within(() => worker.out().includes('metrics are kept'), 'it says so');
  const beat = async () => Number(await readFile(worker.heartbeat, 'utf8').catch(() => '0'));
  const first = await beat();
  let later = first;
  for (const deadline = Date.now() + 20_000; later <= first && Date.now() < deadline; later = await beat());
  assert.ok(later > first, 'the heart beats without a backend');
  assert.equal(worker.out().split('metrics are kept').length, 2, 'told once per outage');
  worker.child.kill('SIGTERM');
  await worker.ended;
  const last = JSON.parse(worker.out().trim().split('\n').at(-1) ?? '');
  assert.ok(last.message === 'stopped, not everything was sent' && last.sent === 0 && last.ticks > 0, worker.out());
});

test('lines are packed whole', () => {
  assert.deepEqual([...datagrams(['aaa', 'bbb', 'ccc'], 7)], ['aaa\nbbb', 'ccc']);
  assert.deepEqual([...datagrams([])], []);
});

test('the sieve is right', () => {
  assert.deepEqual([0, 2, 3, 100, 50_000].map(primesBelow), [0, 0, 1, 25, 5_133]);
});

test('wrong settings are told with what is right, and end with 2', async () => {
  const right = { METRICS_BACKEND_HOST: 'statsd', METRICS_BACKEND_PORT: '8125' };
  assert.equal(settings(right).port, 8125);
  /** @type {[Record<string, string>, string][]} */
  const wrong = [
    [{ METRICS_BACKEND_HOST: '' }, '`METRICS_BACKEND_HOST` is not set'],
    [{ METRICS_BACKEND_HOST: 'http://statsd' }, '`METRICS_BACKEND_HOST` is `http://statsd`, which is no host'],
    [{ METRICS_BACKEND_HOST: 'statsd:8125' }, '`METRICS_BACKEND_HOST` is `statsd:8125`, which is no host'],
    [{ METRICS_BACKEND_PORT: '' }, '`METRICS_BACKEND_PORT` is not set'],
    [{ METRICS_BACKEND_PORT: '0' }, '`METRICS_BACKEND_PORT` is `0`'],
    [{ METRICS_BACKEND_PORT: '65536' }, '`METRICS_BACKEND_PORT` is `65536`'],
    [{ METRICS_BACKEND_PORT: '8125.5' }, '`METRICS_BACKEND_PORT` is `8125.5`'],
    [{ METRICS_FLUSH_MS: '1s' }, '`METRICS_FLUSH_MS` is `1s`'],
  ];
  for (const [env, says] of wrong) {
    const text = (/** @type {Error} */ error) => error.message.startsWith(`${says}\n\nhint: set \``);
    assert.throws(() => settings({ ...right, ...env }), text, says);
  }
  const worker = await run({ METRICS_BACKEND_PORT: '8125' });
  assert.deepEqual(await worker.ended, [2, null]);
  assert.ok(worker.err().startsWith('error: `METRICS_BACKEND_HOST` is not set\n\nhint: '), worker.err());
});
