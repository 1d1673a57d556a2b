import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Writable } from 'node:stream';
import test from 'node:test';
import { buildApp } from './app.js';
import { startTracing } from './telemetry.js';

const me = { app: 'node-app', version: '1.4.0+8', release: 'r8', replica: '2', started_at: '2026-01-02T03:04:05.678Z' };
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;

/** The app, its address, and the lines that it has logged. */
async function start(t) {
  const lines = [];
  const stream = new Writable({ write: (line, encoding, done) => done(null, lines.push(JSON.parse(line))) });
  const app = buildApp(me, { stream, messageKey: 'message' });
  t.after(() => app.close());
  return { app, lines, url: await app.listen({ host: '127.0.0.1', port: 0 }) };
}

async function get(url, headers = {}) {
  const response = await fetch(url, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

test('a trace context is logged and answered without a collector', async (t) => {
  const { app, url, lines } = await start(t);
  const answer = await get(`${url}/version`, { traceparent: PARENT, 'x-request-id': 'id-1' });
  assert.match(answer.headers.get('traceresponse'), new RegExp(`^00-${TRACE}-`));
  // Without a client's trace and without a collector there is none to speak of.
  assert.equal((await get(`${url}/sleep`)).headers.get('traceresponse'), null);
  await app.close();
  const line = lines.find(({ path }) => path === '/version');
  const { method, route, status, request_id, trace_id, message } = line;
  assert.deepEqual(
    { method, route, status, request_id, trace_id, message },
    { method: 'GET', route: '/version', status: 200, request_id: 'id-1', trace_id: TRACE, message: 'request' },
  );
  assert.equal(lines.find(({ path }) => path === '/sleep').trace_id, undefined);
});

test('metrics count by route and leave probes out', async (t) => {
  const { url } = await start(t);
  for (const path of ['/sleep?for=1ms', '/sleep?for=2ms', '/sleep', '/healthz', '/no/such/path']) await get(url + path);
  const { text } = await get(`${url}/metrics`);
  for (const want of [
    'http_requests_total{method="GET",route="/sleep",status="200"} 2',
    'http_requests_total{method="GET",route="/sleep",status="400"} 1',
    'http_requests_total{method="GET",route="none",status="404"} 1',
    'http_request_duration_seconds_count{method="GET",route="/sleep",status="200"} 2',
  ]) {
    assert.ok(text.includes(`${want}\n`), `no ${want} in\n${text}`);
  }
  assert.ok(!text.includes('healthz') && !text.includes('/no/such'), text);
});

test('a chain refuses what is no app of the project', async (t) => {
  const { url } = await start(t);
  for (const to of ['example.com', 'a:80', 'a//b@c', '..', 'a,'.repeat(8) + 'a']) {
    assert.equal((await get(`${url}/chain?to=${to}`)).status, 400, to);
  }
  const end = await get(`${url}/chain`);
  assert.deepEqual([end.status, JSON.parse(end.text).calls], [200, []]);
});

// Last in the file: what it registers is the process's own tracer from then on.
test('spans reach a collector with their resource', async (t) => {
  const bodies = [];
  const collector = createServer(async (request, response) => {
    bodies.push(Buffer.concat(await request.toArray()).toString('latin1'));
    response.end();
  }).listen(0, '127.0.0.1');
  t.after(() => collector.close());
  await once(collector, 'listening');
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${collector.address().port}`;
  const flush = await startTracing(me, process.env);
  const { app, url } = await start(t);
  const answer = await get(`${url}/version`, { traceparent: PARENT });
  await app.close();
  await flush();
  // Protobuf keeps texts as they are, and identifiers as bytes.
  const [, trace, span] = answer.headers.get('traceresponse').split('-');
  const ids = [trace, span].map((id) => Buffer.from(id, 'hex').toString('latin1'));
  for (const want of ['node-app', '1.4.0+8', 'deploy.release', 'GET /version', ...ids]) {
    assert.ok(bodies.join('').includes(want), want);
  }
});
