package main

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

// metrics of the requests. Of which app, release and replica they are is added by who scrapes them.
type metrics struct {
	registry *prometheus.Registry
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics() metrics {
	labels := []string{"method", "route", "status"}
	m := metrics{
		registry: prometheus.NewRegistry(),
		total:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "Answered requests."}, labels),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "http_request_duration_seconds",
			Help:    "How long answers took. Event streams and WebSockets are left out: they last as long as the client likes.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, labels),
	}
	process := collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
	m.registry.MustRegister(m.total, m.duration, process, collectors.NewGoCollector())
	return m
}

// recorder remembers an answer's status. Unwrap leaves flushing, and the upgrade to a WebSocket, to the writer below.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	// After 1xx the real one follows, except when the connection becomes a WebSocket.
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(bytes []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(bytes)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// observed traces, counts and logs what the handlers answer. Probes and scrapes are left out: they would bury the rest.
func (a *app) observed(handlers http.Handler) http.Handler {
	isOfUsers := func(r *http.Request) bool { return r.URL.Path != "/healthz" && r.URL.Path != "/metrics" }
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// `deploy-apps drain-test` counts answers by it.
		w.Header().Set("X-Release", a.me.Release)
		if !isOfUsers(r) {
			handlers.ServeHTTP(w, r)
			return
		}
		begun, answer := time.Now(), &recorder{ResponseWriter: w}
		span := trace.SpanFromContext(r.Context())
		if span.SpanContext().IsValid() {
			// The proxy logs it. So its line leads to the trace as well, also when the client has not begun one.
			w.Header().Set("Traceresponse", traceparent(span.SpanContext()))
		}
		// Deferred: net/http lets a handler end by a panic.
		defer func() { a.note(r, span, answer.status, time.Since(begun)) }()
		handlers.ServeHTTP(answer, r)
	})
	name := func(_ string, r *http.Request) string { return r.Method + " " + routeOf(r) }
	return otelhttp.NewHandler(inner, "", otelhttp.WithFilter(isOfUsers), otelhttp.WithSpanNameFormatter(name))
}

// routeOf is the pattern, not the path: each path that a client thinks of would be a time series of its own.
func routeOf(r *http.Request) string {
	if _, route, isKnown := strings.Cut(strings.TrimSuffix(r.Pattern, "{$}"), " "); isKnown {
		return route
	}
	return "none"
}

func (a *app) note(r *http.Request, span trace.Span, status int, took time.Duration) {
	if status == 0 {
		// The client left before there was an answer; the number is the one that nginx has for it.
		status = 499
	}
	route := routeOf(r)
	span.SetAttributes(semconv.HTTPRoute(route))
	labels := prometheus.Labels{"method": methodLabel(r.Method), "route": route, "status": strconv.Itoa(status)}
	a.metrics.total.With(labels).Inc()
	if route != "/events" && route != "/ws" {
		a.metrics.duration.With(labels).Observe(took.Seconds())
	}

	fields := []any{
		"method", r.Method, "path", r.URL.Path, "route", route, "status", status, "duration", took.Seconds(),
		"request_id", r.Header.Get("X-Request-ID"),
	}
	fields = append(fields, traceFields(span.SpanContext())...)
	if status >= http.StatusInternalServerError {
		a.log.Error("request failed", fields...)
	} else {
		a.log.Info("request", fields...)
	}
}

// traceFields lead from a line of the log to its trace; none when the request has no trace.
func traceFields(context trace.SpanContext) []any {
	if !context.IsValid() {
		return nil
	}
	return []any{"trace_id", context.TraceID().String(), "span_id", context.SpanID().String()}
}

// methodLabel bounds what a client can make of a label: a method may be any word.
func methodLabel(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}

// traceparent is the text of https://www.w3.org/TR/trace-context/.
func traceparent(context trace.SpanContext) string {
	return "00-" + context.TraceID().String() + "-" + context.SpanID().String() + "-" + context.TraceFlags().String()
}
