// Traces by the standard OTEL_* variables, metrics for Prometheus, and the fields that join a line of the log to both.
import { isSpanContextValid, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { Counter, collectDefaultMetrics, Histogram, Registry } from 'prom-client';

// Probes and scrapes would bury the rest.
const NOT_OF_USERS = new Set(['/healthz', '/metrics']);
// They last as long as the client likes, so their durations say nothing.
const STREAMS = new Set(['/events', '/ws']);
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

propagation.setGlobalPropagator(new W3CTraceContextPropagator());
const tracer = () => trace.getTracer('node-app');

/**
 * Exports spans when the environment names a collector. Without one, a trace context that comes in is still passed on.
 * Returns what sends the last spans.
 */
export async function startTracing(me, env) {
  if (!env.OTEL_EXPORTER_OTLP_ENDPOINT || env.OTEL_SDK_DISABLED === 'true') return async () => {};
  // Loaded only where it is used: it would double the time to start.
  const [{ OTLPTraceExporter }, { BasicTracerProvider, BatchSpanProcessor }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/exporter-trace-otlp-proto'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/resources'),
  ]);
  const resource = resourceFromAttributes({
    'service.name': me.app,
    'service.version': me.version,
    'service.instance.id': `${me.release}-${me.replica}`,
    'deploy.release': me.release,
  });
  const provider = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
  trace.setGlobalTracerProvider(provider);
  return () => provider.shutdown();
}

/** For the log. Nothing when the request has no trace: then the identifiers are zeros. */
export function traceFields(span) {
  const { traceId, spanId } = span.spanContext();
  return isSpanContextValid(span.spanContext()) ? { trace_id: traceId, span_id: spanId } : {};
}

/** Traces, counts and logs what is answered; serves `/metrics`. Of which release the figures are is added by who scrapes. */
export function observe(app) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const labelNames = ['method', 'route', 'status'];
  const total = new Counter({ name: 'http_requests_total', help: 'Answered requests.', labelNames, registers: [registry] });
  const duration = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'How long answers took. Event streams and WebSockets are left out: they last as long as the client likes.',
    labelNames,
    buckets: BUCKETS,
    registers: [registry],
  });
  app.get('/metrics', async (request, reply) => reply.type(registry.contentType).send(await registry.metrics()));

  app.decorateRequest('span', null);
  app.decorateRequest('failure', null);
  app.addHook('onRequest', (request, reply, done) => {
    if (!NOT_OF_USERS.has(request.routeOptions.url)) begin(request, reply);
    done();
  });
  app.addHook('onError', async (request, reply, error) => {
    request.failure = error;
  });

  function begin(request, reply) {
    const begun = process.hrtime.bigint();
    // The pattern, not the path: each path that a client thinks of would be a time series of its own.
    const route = request.routeOptions.url ?? 'none';
    const attributes = { 'http.request.method': request.method, 'http.route': route, 'url.path': pathOf(request) };
    const parent = propagation.extract(ROOT_CONTEXT, request.headers);
    request.span = tracer().startSpan(`${request.method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
    // The proxy logs it. So its line leads to the trace as well, also when the client has not begun one.
    const carried = {};
    propagation.inject(trace.setSpan(ROOT_CONTEXT, request.span), carried);
    if (carried.traceparent) reply.header('traceresponse', carried.traceparent);

    // The end of the answer or of the socket, not `onResponse`: that one misses WebSockets and clients that have left.
    const isWebSocket = route === '/ws' && request.headers.upgrade !== undefined;
    const ending = isWebSocket ? request.raw.socket : reply.raw;
    ending.once('close', () => {
      // What nginx writes, too, for a client that left before the end of its answer.
      const status = isWebSocket ? 101 : reply.raw.writableFinished ? reply.statusCode : 499;
      note(request, route, status, Number(process.hrtime.bigint() - begun) / 1e9);
    });
  }

  function note(request, route, status, seconds) {
    const labels = { method: request.method, route, status };
    total.inc(labels);
    if (!STREAMS.has(route)) duration.observe(labels, seconds);
    request.span.setAttribute('http.response.status_code', status);
    if (status >= 500) request.span.setStatus({ code: SpanStatusCode.ERROR, message: request.failure?.message });
    request.span.end();
    const fields = {
      method: request.method,
      path: pathOf(request),
      route,
      status,
      duration: seconds,
      request_id: request.headers['x-request-id'],
      ...traceFields(request.span),
    };
    if (status >= 500) app.log.error({ ...fields, error: request.failure?.stack }, 'request failed');
    else app.log.info(fields, 'request');
  }
}

/** `fetch` as a span below that of `request`, whose trace context goes along. */
export async function tracedFetch(request, url, options) {
  const parent = trace.setSpan(ROOT_CONTEXT, request.span);
  const attributes = { 'http.request.method': 'GET', 'url.full': url, 'server.address': new URL(url).hostname };
  const span = tracer().startSpan('GET', { kind: SpanKind.CLIENT, attributes }, parent);
  const headers = {};
  propagation.inject(trace.setSpan(parent, span), headers);
  try {
    const response = await fetch(url, { ...options, headers });
    span.setAttribute('http.response.status_code', response.status);
    if (response.status >= 400) span.setStatus({ code: SpanStatusCode.ERROR });
    return response;
  } catch (error) {
    span.recordException(error);
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
    throw error;
  } finally {
    span.end();
  }
}

/** Without the query, which may carry secrets. */
function pathOf(request) {
  return request.url.split('?', 1)[0];
}
