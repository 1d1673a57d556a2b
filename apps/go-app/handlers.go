package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	longestSleep = 10 * time.Minute
	// heartbeat keeps a quiet event stream alive through middleboxes, which often drop a connection after 30 s of silence.
	heartbeat       = 15 * time.Second
	longestMessage  = 1 << 20
	shortestSlow    = 50 * time.Millisecond
	longestSlow     = 2 * time.Second
	fastestEvents   = 10 * time.Millisecond
	slowestEvents   = time.Minute
	defaultInterval = "1s"
)

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", a.hello)
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.HandleFunc("GET /version", a.version)
	mux.HandleFunc("GET /sleep", a.sleep)
	mux.HandleFunc("GET /slow", a.slow)
	mux.HandleFunc("POST /upload", a.upload)
	mux.HandleFunc("GET /events", a.events)
	mux.HandleFunc("GET /ws", a.echo)
	mux.HandleFunc("GET /chain", a.chain)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{}))
	return a.observed(mux)
}

func (a *app) hello(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "Hi from", a.me)
}

func (a *app) healthz(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "ok")
}

func (a *app) version(w http.ResponseWriter, _ *http.Request) {
	respondJSON(w, a.me)
}

func (a *app) sleep(w http.ResponseWriter, r *http.Request) {
	duration, err := durationIn(r.FormValue("for"), 0, longestSleep)
	if err != nil {
		http.Error(w, "bad `for`: "+err.Error(), http.StatusBadRequest)
		return
	}
	a.answerAfter(duration, w, r)
}

func (a *app) slow(w http.ResponseWriter, r *http.Request) {
	a.answerAfter(shortestSlow+rand.N(longestSlow-shortestSlow), w, r)
}

// answerAfter ignores stopping on purpose: a request that was accepted is answered.
func (a *app) answerAfter(duration time.Duration, w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(duration):
		fmt.Fprintf(w, "slept %s in %s\n", duration.Round(time.Millisecond), a.me)
	case <-r.Context().Done(): // the client left; nobody reads an answer
	}
}

func (a *app) upload(w http.ResponseWriter, r *http.Request) {
	bytes, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, fmt.Sprintf("upload broke off after %d bytes: %v", bytes, err), http.StatusBadRequest)
		return
	}
	respondJSON(w, map[string]any{"bytes": bytes, "release": a.me.Release, "replica": a.me.Replica})
}

func (a *app) events(w http.ResponseWriter, r *http.Request) {
	every, err := durationIn(cmp.Or(r.FormValue("every"), defaultInterval), fastestEvents, slowestEvents)
	if err != nil {
		http.Error(w, "bad `every`: "+err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	stream := http.NewResponseController(w)
	// Browsers reconnect by themselves when the stream ends; `retry` says how soon.
	fmt.Fprint(w, "retry: 500\n\n")
	if stream.Flush() != nil {
		return
	}

	ticks, beats := time.NewTicker(every), time.NewTicker(heartbeat)
	defer ticks.Stop()
	defer beats.Stop()
	for count := 1; ; {
		select {
		case <-ticks.C:
			fmt.Fprintf(w, "id: %d\ndata: {\"count\":%d,\"release\":%q,\"replica\":%q}\n\n", count, count, a.me.Release, a.me.Replica)
			count++
		case <-beats.C:
			fmt.Fprint(w, ": heartbeat\n\n")
		case <-a.stopping.Done():
			fmt.Fprintf(w, "event: stopping\ndata: {\"release\":%q}\n\n", a.me.Release)
			return
		case <-r.Context().Done():
			return
		}
		if stream.Flush() != nil {
			return
		}
	}
}

func (a *app) echo(w http.ResponseWriter, r *http.Request) {
	// Counted before the upgrade, while Shutdown still waits for this request: no WebSocket slips between the two.
	a.sockets.Add(1)
	defer a.sockets.Done()
	socket, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered with the reason
	}
	defer socket.CloseNow()
	socket.SetReadLimit(longestMessage)
	// "Going away" tells a client to connect again, which then reaches the next release.
	stopClosing := context.AfterFunc(a.stopping, func() { socket.Close(websocket.StatusGoingAway, a.me.Release+" is stopping") })
	defer stopClosing()

	for {
		kind, message, err := socket.Read(context.Background())
		if err != nil {
			return
		}
		if socket.Write(context.Background(), kind, message) != nil {
			return
		}
	}
}

func durationIn(text string, shortest, longest time.Duration) (time.Duration, error) {
	duration, err := time.ParseDuration(text)
	if err != nil || duration < shortest || duration > longest {
		return 0, fmt.Errorf("%q is no duration from %s to %s, such as 1s or 250ms", text, shortest, longest)
	}
	return duration, nil
}

func respondJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(body)
}
