package main

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"
)

// metrics has no label for app, release or replica: the scraper knows them better, and attaches them to every app alike.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "http_requests_total", Help: "Requests answered.",
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds", Help: "Time from the request to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
		}, []string{"method", "route"}),
	}
	m.registry.MustRegister(m.requests, m.seconds, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// observed counts, times, traces and logs every request, except what asks for health and metrics: that comes from
// machines, once a second, and would drown the rest.
func (a *app) observed(mux *http.ServeMux) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if span := trace.SpanContextFromContext(r.Context()); span.IsValid() {
			// The proxy logs it. So its line leads to the trace as well, also when the client has not begun one.
			w.Header().Set("Traceresponse", traceparent(span))
		}
		started := time.Now()
		answer := &statusWriter{w, http.StatusOK}
		mux.ServeHTTP(answer, r)
		took, route := time.Since(started), routeOf(r)
		// What matches no route shares one label: paths are the clients' choice, and without bound.
		a.metrics.requests.WithLabelValues(methodOf(r), route, strconv.Itoa(answer.status)).Inc()
		a.metrics.seconds.WithLabelValues(methodOf(r), route).Observe(took.Seconds())
		a.log.InfoContext(r.Context(), "request", "method", r.Method, "route", route, "path", r.URL.Path,
			"status", answer.status, "duration", took.Seconds(), "request_id", r.Header.Get("X-Request-ID"))
	})
	// Asked before the route is known, and once more after.
	traced := otelhttp.NewHandler(inner, "request", otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
		return methodOf(r) + " " + routeOf(r)
	}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" || r.URL.Path == "/metrics" {
			mux.ServeHTTP(w, r)
			return
		}
		traced.ServeHTTP(w, r)
	})
}

func routeOf(r *http.Request) string {
	_, path, found := strings.Cut(r.Pattern, " ")
	if !found {
		return "none"
	}
	return strings.TrimSuffix(path, "{$}")
}

func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// traceparent is the text of https://www.w3.org/TR/trace-context/.
func traceparent(span trace.SpanContext) string {
	return "00-" + span.TraceID().String() + "-" + span.SpanID().String() + "-" + span.TraceFlags().String()
}
