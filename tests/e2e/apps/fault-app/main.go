// fault-app misbehaves on demand, for end-to-end tests: FAULT names how, FAULT_AFTER when.
//
//	none          behaves
//	unhealthy     /healthz answers 500
//	exit          exits 3 at once
//	exit-later    exits 3 after FAULT_AFTER (default 1) answers of /healthz, FAULT_DELAY (default 0s) after the last
//	wrong-port    listens on 9999
//	hang          accepts requests and answers none
//	ignore-term   goes on serving after SIGTERM
//	eat-memory    takes more and more memory, up to 512 MiB, and then gives up
//	slow-start    listens after FAULT_AFTER (default 1) seconds
//	traffic       exits 3 FAULT_AFTER (default 1) seconds after its first request that is no health check
//	tls           speaks TLS
//	errors        answers every second request with 500, health checks apart
//
// FAULT_REPLICA names the one replica that misbehaves; without it all do.
// FAULT_PORT (default 8080) may be "none": a worker that listens nowhere. FAULT_ADDRESS is where it listens; all by default. RELEASE_MARK is what /mark answers.
package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coder/websocket"
)

var (
	release = cmp.Or(os.Getenv("DEPLOY_APPS_RELEASE"), "dev")
	me      = fmt.Sprintf("%s %s (%s, replica %s)", cmp.Or(os.Getenv("DEPLOY_APPS_APP"), "fault-app"),
		cmp.Or(os.Getenv("DEPLOY_APPS_VERSION"), "dev"), release, cmp.Or(os.Getenv("DEPLOY_APPS_REPLICA"), "1"))
	fault = chosen()
	after = number(cmp.Or(os.Getenv("FAULT_AFTER"), "1"))
	delay = duration(cmp.Or(os.Getenv("FAULT_DELAY"), "0s"))
	port  = cmp.Or(os.Getenv("FAULT_PORT"), "8080")

	healthAnswers atomic.Int64
	requests      atomic.Int64
	// sockets counts WebSockets, which http.Server forgets as soon as they are upgraded.
	sockets sync.WaitGroup
	doomed  sync.Once
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "migrate" {
		migrate(os.Args[2:])
		return
	}
	stopping, _ := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	switch fault {
	case "none", "unhealthy", "exit-later", "hang", "traffic", "tls", "errors":
	case "exit":
		fail(3, "boom: cannot read config")
	case "wrong-port":
		port = "9999"
	case "ignore-term":
		stopping = context.Background()
	case "eat-memory":
		eat(512 << 20)
		fail(2, "no memory limit has ended it")
	case "slow-start":
		select {
		case <-time.After(time.Duration(after) * time.Second):
		case <-stopping.Done():
			return
		}
	default:
		// A typing error in a test must not pass as "behaves".
		fail(2, fmt.Sprintf("unknown FAULT %q", fault))
	}
	fmt.Printf("%s runs with FAULT=%s on port %s\n", me, fault, port)
	if port == "none" {
		<-stopping.Done()
	} else if err := serve(stopping); err != nil {
		fail(1, err.Error())
	}
	fmt.Printf("%s stopped\n", me)
}

func chosen() string {
	if only := os.Getenv("FAULT_REPLICA"); only != "" && only != os.Getenv("DEPLOY_APPS_REPLICA") {
		return "none"
	}
	return cmp.Or(os.Getenv("FAULT"), "none")
}

func serve(stopping context.Context) error {
	if fault == "tls" {
		return serveTLS(stopping)
	}
	server := &http.Server{Addr: os.Getenv("FAULT_ADDRESS") + ":" + port, Handler: routes(stopping)}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-stopping.Done():
	}
	err := server.Shutdown(context.Background())
	sockets.Wait()
	return err
}

func serveTLS(stopping context.Context) error {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	server := httptest.NewUnstartedServer(routes(stopping))
	server.Listener = listener
	server.StartTLS()
	<-stopping.Done()
	server.Close()
	return nil
}

func routes(stopping context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Hi from", me) })
	mux.HandleFunc("GET /mark", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getenv("RELEASE_MARK")) })
	mux.HandleFunc("GET /healthz", healthz)
	mux.HandleFunc("GET /sleep", sleep)
	mux.HandleFunc("POST /upload", upload)
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) { events(w, r, stopping) })
	mux.HandleFunc("POST /call", call)
	mux.HandleFunc("GET /ws", func(w http.ResponseWriter, r *http.Request) { echo(w, r, stopping) })
	if fault == "traffic" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" {
				doomed.Do(func() {
					time.AfterFunc(time.Duration(after)*time.Second, func() { fail(3, "boom: the traffic is too much") })
				})
			}
			mux.ServeHTTP(w, r)
		})
	}
	if fault == "errors" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" && requests.Add(1)%2 == 0 {
				io.Copy(io.Discard, r.Body)
				http.Error(w, "the database says no", http.StatusInternalServerError)
				return
			}
			mux.ServeHTTP(w, r)
		})
	}
	if fault == "hang" {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	}
	return mux
}

func healthz(w http.ResponseWriter, _ *http.Request) {
	if fault == "unhealthy" {
		http.Error(w, "database is on fire", http.StatusInternalServerError)
		return
	}
	answers := healthAnswers.Add(1)
	if fault == "exit-later" && answers > after {
		// The process is at its end: on a busy machine it may take it a while to get there.
		select {}
	}
	w.Header().Set("Content-Length", "3")
	fmt.Fprintln(w, "ok")
	if fault == "exit-later" && answers == after {
		// The last answer is on its way before the process goes.
		http.NewResponseController(w).Flush()
		time.Sleep(delay)
		fail(3, fmt.Sprintf("boom: lost the database after %d health checks", after))
	}
}

func sleep(w http.ResponseWriter, r *http.Request) {
	duration, err := time.ParseDuration(r.FormValue("for"))
	if err != nil {
		http.Error(w, "bad `for`: "+err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case <-time.After(duration):
		fmt.Fprintf(w, "slept %s in %s\n", duration, me)
	case <-r.Context().Done():
	}
}

func upload(w http.ResponseWriter, r *http.Request) {
	bytes, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, "{\"bytes\":%d,\"release\":%q}\n", bytes, release)
}

// call passes its body on to another app, `/call?url=http://other/upload`, on connections that are kept.
func call(w http.ResponseWriter, r *http.Request) {
	answer, err := http.Post(r.FormValue("url"), "text/plain", r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	w.WriteHeader(answer.StatusCode)
	io.Copy(w, answer.Body)
}

func events(w http.ResponseWriter, r *http.Request, stopping context.Context) {
	every, err := time.ParseDuration(cmp.Or(r.FormValue("every"), "1s"))
	if err != nil || every <= 0 {
		http.Error(w, "bad `every`", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	for count := 1; http.NewResponseController(w).Flush() == nil; count++ {
		select {
		case <-ticks.C:
			fmt.Fprintf(w, "id: %d\ndata: {\"count\":%d,\"release\":%q}\n\n", count, count, release)
		case <-stopping.Done():
			fmt.Fprintf(w, "event: stopping\ndata: {\"release\":%q}\n\n", release)
			return
		case <-r.Context().Done():
			return
		}
	}
}

func echo(w http.ResponseWriter, r *http.Request, stopping context.Context) {
	sockets.Add(1)
	defer sockets.Done()
	socket, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer socket.CloseNow()
	socket.SetReadLimit(1 << 20)
	stopClosing := context.AfterFunc(stopping, func() { socket.Close(websocket.StatusGoingAway, release+" is stopping") })
	defer stopClosing()
	for {
		kind, message, err := socket.Read(context.Background())
		if err != nil || socket.Write(context.Background(), kind, message) != nil {
			return
		}
	}
}

// migrate stands for a release command: `migrate`, `migrate fail`, `migrate hang`, `migrate count FILE`.
func migrate(args []string) {
	fmt.Printf("migrating for %s\nadding column `email` to `users`\n", me)
	switch strings.Join(args[:min(1, len(args))], "") {
	case "":
		fmt.Println("migrated 1 table")
	case "fail":
		fail(7, "relation `users` does not exist")
	case "hang":
		time.Sleep(24 * time.Hour)
	case "count":
		// One line a run, appended in one write: the test counts lines to prove "once".
		file, err := os.OpenFile(args[1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = fmt.Fprintln(file, me)
		}
		if err != nil {
			fail(1, err.Error())
		}
	default:
		fail(2, fmt.Sprintf("unknown migration %q", args))
	}
}

// eat uses each page: what is only allocated costs nothing.
func eat(bytes int) {
	eaten := make([]byte, bytes)
	for at := 0; at < bytes; at += 4096 {
		eaten[at] = 1
	}
	fmt.Printf("ate %d bytes\n", len(eaten))
}

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		fail(2, fmt.Sprintf("FAULT_AFTER is %q, want a whole number", text))
	}
	return value
}

func duration(text string) time.Duration {
	value, err := time.ParseDuration(text)
	if err != nil {
		fail(2, fmt.Sprintf("FAULT_DELAY is %q, want a duration such as 500ms", text))
	}
	return value
}

func fail(code int, why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(code)
}
