// node-app is the sample Node app: Fastify, streams without buffering, and a shutdown that cuts nobody off.
import { setMaxListeners } from 'node:events';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import websocket from '@fastify/websocket';
import fastify, { LogController } from 'fastify';
import { chain } from './chain.js';
import { observe } from './telemetry.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const UNITS = { ms: 1, s: SECOND, m: MINUTE };
const LONGEST_SLEEP = 10 * MINUTE;
const LONGEST_MESSAGE = 1 << 20;
// Middleboxes often drop a connection after 30 s of silence, so a quiet event stream speaks twice as often.
const HEARTBEAT = 15 * SECOND;

/**
 * @param {Record<'app' | 'version' | 'release' | 'replica' | 'started_at', string>} me the release that every answer names
 * @param {import('fastify').FastifyServerOptions['logger']} log pino's options
 */
export function buildApp(me, log = false) {
  const name = `${me.app} ${me.version} (${me.release}, replica ${me.replica})`;
  const stopping = new AbortController();
  // Every event stream listens to it; Node would take more than ten for a leak.
  setMaxListeners(0, stopping.signal);
  const app = fastify({
    // Longer than the 60 s for which nginx keeps an idle upstream connection: the proxy must be the side that closes.
    // With Node's own 5 s, a POST sent at the moment of the close would die with the connection.
    keepAliveTimeout: 65 * SECOND,
    // A request that still arrives on an open connection while we stop gets its answer, not a 503.
    return503OnClosing: false,
    logger: log,
    // telemetry.js writes a line for each request, with its trace.
    logController: new LogController({ disableRequestLogging: true }),
  });
  observe(app);
  chain(app, me);

  // `deploy-apps drain-test` counts answers by it.
  app.addHook('onRequest', async (request, reply) => void reply.header('x-release', me.release));
  app.addHook('preClose', async () => stopping.abort());
  // Otherwise a connection that turns idle during the shutdown would hold the process for `keepAliveTimeout`.
  app.addHook('onSend', async (request, reply) => {
    if (stopping.signal.aborted) reply.header('connection', 'close');
  });

  app.register(websocket, {
    options: { maxPayload: LONGEST_MESSAGE, closeTimeout: 5 * SECOND },
    // 1001 "going away" tells a client to connect again, which then reaches the next release.
    preClose(done) {
      for (const socket of this.websocketServer.clients) socket.close(1001, `${me.release} is stopping`);
      this.websocketServer.close();
      // Without waiting for the clients: the port must close now.
      done();
    },
  });

  // Bodies stay streams: nothing is parsed, buffered or limited in size.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (request, body, done) => done(null, body));

  app.get('/', async () => `Hi from ${name}\n`);
  app.get('/healthz', async () => 'ok\n');
  app.get('/version', async () => me);

  app.get('/sleep', async (request) => answerAfter(durationIn(request, 'for', { shortest: 0, longest: LONGEST_SLEEP }), request));
  async function answerAfter(milliseconds, request) {
    // Ends early only when the client leaves. Stopping is ignored on purpose: a request that was accepted is answered.
    await sleep(milliseconds, undefined, { signal: request.signal });
    return `slept ${milliseconds}ms in ${name}\n`;
  }
  app.get('/slow', async (request) => answerAfter(Math.round(50 + Math.random() * 1_950), request));

  app.post('/upload', async (request) => {
    let bytes = 0;
    // The content type parser above has left it as it came.
    const body = /** @type {import('node:stream').Readable | undefined} */ (request.body);
    for await (const chunk of body ?? []) bytes += chunk.length;
    return { bytes, release: me.release, replica: me.replica };
  });

  app.get('/events', async (request, reply) => {
    const every = durationIn(request, 'every', { fallback: '1s', shortest: 10, longest: MINUTE });
    reply.headers({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      // No request follows on this connection, and without this it would outlive its stream by `keepAliveTimeout`.
      connection: 'close',
    });
    return Readable.from(events(every, me, stopping.signal));
  });

  app.register(async (scope) => {
    scope.get('/ws', { websocket: true }, (socket) => {
      socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary }));
      socket.on('error', () => socket.terminate());
    });
  });

  return app;
}

async function* events(every, me, stopping) {
  // Browsers reconnect by themselves when the stream ends; `retry` says how soon.
  yield 'retry: 500\n\n';
  for (let count = 1; ; count++) {
    for (let left = every; left > 0; left -= HEARTBEAT) {
      if (left < every) yield ': heartbeat\n\n';
      await sleep(Math.min(left, HEARTBEAT), undefined, { signal: stopping }).catch(() => {});
      if (stopping.aborted) return yield `event: stopping\ndata: ${JSON.stringify({ release: me.release })}\n\n`;
    }
    yield `id: ${count}\ndata: ${JSON.stringify({ count, release: me.release, replica: me.replica })}\n\n`;
  }
}

/** Milliseconds in the query's parameter `key`; a 400 that says what is expected when it is no duration in the bounds. */
function durationIn(request, key, { fallback = '', shortest, longest }) {
  const text = request.query[key] ?? fallback;
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text) ?? [];
  const milliseconds = Number(number) * UNITS[unit];
  if (milliseconds >= shortest && milliseconds <= longest) return milliseconds;
  const message = `bad \`${key}\`: ${JSON.stringify(text)} is no duration from ${shortest}ms to ${longest / MINUTE}m, such as 1s or 250ms`;
  throw Object.assign(new Error(message), { statusCode: 400 });
}
