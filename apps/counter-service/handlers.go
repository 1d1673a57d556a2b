package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

type app struct {
	me      identity
	store   *store
	log     *slog.Logger
	metrics *metrics
}

func newApp(me identity, store *store, log *slog.Logger) *app {
	return &app{me: me, store: store, log: log, metrics: newMetrics()}
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.page)
	mux.HandleFunc("POST /count", a.add)
	mux.HandleFunc("GET /count", a.value)
	mux.HandleFunc("GET /version", a.version)
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	return a.observed(mux)
}

// counted is the answer to both methods of /count.
type counted struct {
	Count   int64  `json:"count"`
	Release string `json:"release"`
	Replica string `json:"replica"`
}

func (a *app) add(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	if !validKey(key) {
		http.Error(w, "bad `Idempotency-Key`: give up to 128 visible ASCII characters, such as a UUID", http.StatusBadRequest)
		return
	}
	count, again, err := a.store.add(r.Context(), key)
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	if again {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	a.respond(w, counted{count, a.me.Release, a.me.Replica})
}

func (a *app) value(w http.ResponseWriter, r *http.Request) {
	count, err := a.store.value(r.Context())
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	a.respond(w, counted{count, a.me.Release, a.me.Replica})
}

func (a *app) page(w http.ResponseWriter, r *http.Request) {
	count, err := a.store.value(r.Context())
	if err != nil {
		a.unavailable(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	data := struct {
		Me    identity
		Count int64
	}{a.me, count}
	if err := page.Execute(w, data); err != nil {
		a.log.WarnContext(r.Context(), "the page broke off", "error", err.Error())
	}
}

func (a *app) version(w http.ResponseWriter, _ *http.Request) {
	a.respond(w, a.me)
}

// healthz asks Redis until it has answered once: a release with a wrong address never gets traffic. From then on an outage
// of Redis is not the replica's illness. Were it, all replicas would leave the proxy at once, and neither a restart
// nor a rollback of them could help; so they stay and say 503 themselves.
func (a *app) healthz(w http.ResponseWriter, r *http.Request) {
	if err := a.store.ready(r.Context()); err != nil {
		a.unavailable(w, r, err)
		return
	}
	fmt.Fprintln(w, "ok")
}

// unavailable tells the cause to the log only: it names addresses.
func (a *app) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	a.log.ErrorContext(r.Context(), "no answer from Redis", "error", err.Error())
	w.Header().Set("Retry-After", "1")
	http.Error(w, "the counter is not available; a retry with the same `Idempotency-Key` is counted once", http.StatusServiceUnavailable)
}

func (a *app) respond(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		a.log.Warn("an answer broke off", "error", err.Error())
	}
}
