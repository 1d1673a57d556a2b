import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import test from 'node:test';
import WebSocket from 'ws';
import { buildApp } from './app.js';

const me = { app: 'node-app', version: '1.4.0+8', release: 'r8', replica: '2', started_at: '2026-01-02T03:04:05.678Z' };

async function start(t) {
  const app = buildApp(me);
  t.after(() => app.close());
  return { app, url: await app.listen({ host: '127.0.0.1', port: 0 }) };
}

test('answers name their release', async (t) => {
  const { url } = await start(t);
  for (const [method, path, body, status, contains] of [
    ['GET', '/', undefined, 200, 'Hi from node-app 1.4.0+8 (r8, replica 2)\n'],
    ['GET', '/healthz', undefined, 200, 'ok\n'],
    ['GET', '/version', undefined, 200, JSON.stringify(me)],
    ['GET', '/sleep?for=20ms', undefined, 200, 'slept 20ms in node-app 1.4.0+8 (r8, replica 2)'],
    ['GET', '/sleep?for=11m', undefined, 400, 'bad `for`: \\"11m\\" is no duration from 0ms to 10m'],
    ['GET', '/sleep', undefined, 400, 'bad `for`: \\"\\" is no duration'],
    ['GET', '/events?every=1ms', undefined, 400, 'bad `every`: \\"1ms\\" is no duration from 10ms to 1m'],
    ['POST', '/upload', 'x'.repeat(2_000_000), 200, '"bytes":2000000'],
    ['POST', '/upload', undefined, 200, '"bytes":0'],
    ['GET', '/ws', undefined, 404, ''],
    ['GET', '/nothing', undefined, 404, 'Not Found'],
  ]) {
    const response = await fetch(url + path, { method, body });
    const text = await response.text();
    assert.equal(response.status, status, `${method} ${path}: ${text}`);
    assert.ok(text.includes(contains), `${method} ${path}: ${text}`);
    assert.equal(response.headers.get('x-release'), 'r8', `${method} ${path}`);
  }
});

test('a request open at the stop is answered, and its connection does not delay the end', async (t) => {
  const { app, url } = await start(t);
  // With `Expect: 100-continue` the body follows the handler's start: the request is open before the stop.
  const upload = request(`${url}/upload`, { method: 'POST', headers: { expect: '100-continue' } });
  upload.flushHeaders();
  await once(upload, 'continue');
  const closed = app.close();
  upload.end('after the stop');
  const [response] = await once(upload, 'response');
  assert.equal(response.headers.connection, 'close');
  assert.deepEqual(JSON.parse((await response.toArray()).join('')), { bytes: 14, release: 'r8', replica: '2' });
  await closed;
});

test('a client that leaves ends its sleep', async (t) => {
  const app = buildApp(me);
  t.after(() => app.close());
  const ended = new Promise((resolve) => app.addHook('onError', async (request, reply, error) => resolve(error.name)));
  const leaving = request(`${await app.listen({ host: '127.0.0.1', port: 0 })}/sleep?for=10m`)
    .on('error', () => {})
    .end();
  await once(app.server, 'request');
  leaving.destroy();
  assert.equal(await ended, 'AbortError');
});

test('an event stream says that it stops', async (t) => {
  const { app, url } = await start(t);
  let text = '';
  for await (const chunk of (await fetch(`${url}/events?every=10ms`)).body) {
    text += Buffer.from(chunk);
    if (text.includes('id: 2\n')) app.close();
  }
  assert.ok(text.startsWith('retry: 500\n\nid: 1\ndata: {"count":1,"release":"r8","replica":"2"}\n\n'), text);
  assert.ok(text.endsWith('event: stopping\ndata: {"release":"r8"}\n\n'), text);
});

test('a WebSocket echoes, then is told that the app goes away', async (t) => {
  const { app, url } = await start(t);
  const socket = new WebSocket(`${url}/ws`);
  await once(socket, 'open');
  socket.send('hello');
  const [message, isBinary] = await once(socket, 'message');
  assert.deepEqual([String(message), isBinary], ['hello', false]);
  app.close();
  const [code, reason] = await once(socket, 'close');
  assert.deepEqual([code, String(reason)], [1001, 'r8 is stopping']);
});
