// go-app is the sample Go app: plain net/http, one binary, and a shutdown that cuts nobody off.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

//go:embed VERSION
var versionFile string

// idleTimeout outlives the 60 s for which nginx keeps an idle upstream connection. The proxy must be the side that
// closes: were it the app, a POST sent at that very moment would die with the connection.
const idleTimeout = 65 * time.Second

const flushTimeout = 2 * time.Second

// identity says which release answers. deploy-apps sets the variables; run by hand, the app is release "dev".
type identity struct {
	App       string    `json:"app"`
	Version   string    `json:"version"`
	Release   string    `json:"release"`
	Replica   string    `json:"replica"`
	StartedAt time.Time `json:"started_at"`
}

func identityFromEnv() identity {
	return identity{
		App:       cmp.Or(os.Getenv("DEPLOY_APPS_APP"), "go-app"),
		Version:   cmp.Or(os.Getenv("DEPLOY_APPS_VERSION"), strings.TrimSpace(versionFile)),
		Release:   cmp.Or(os.Getenv("DEPLOY_APPS_RELEASE"), "dev"),
		Replica:   cmp.Or(os.Getenv("DEPLOY_APPS_REPLICA"), "1"),
		StartedAt: time.Now().UTC(),
	}
}

func (me identity) String() string {
	return fmt.Sprintf("%s %s (%s, replica %s)", me.App, me.Version, me.Release, me.Replica)
}

// app carries what handlers share. Streams have no end of their own, so they watch stopping; sockets counts
// WebSockets, which http.Server forgets as soon as they are upgraded.
type app struct {
	me       identity
	log      *slog.Logger
	metrics  metrics
	stopping context.Context
	sockets  sync.WaitGroup
}

// serve answers until stopping is done, then closes the listener and waits for every open request, however long:
// the limit is the engine's stop_grace_period, and a second one here could only be wrong.
func serve(stopping context.Context, listener net.Listener, me identity, log *slog.Logger) error {
	a := &app{me: me, log: log, metrics: newMetrics(), stopping: stopping}
	// No read or write timeout: uploads, event streams and long answers may take as long as they need.
	server := &http.Server{Handler: a.routes(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idleTimeout}

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-stopping.Done():
	}

	err := server.Shutdown(context.Background())
	a.sockets.Wait()
	return err
}

func run() error {
	stopping, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer restore()
	// From the first signal on, a second Ctrl-C ends the process at once.
	context.AfterFunc(stopping, restore)

	listener, err := net.Listen("tcp", ":"+cmp.Or(os.Getenv("PORT"), "8080"))
	if err != nil {
		return err
	}
	me := identityFromEnv()
	log := slog.New(newLogHandler(os.Stdout)).With("app", me.App, "release", me.Release, "replica", me.Replica)
	flush, err := startTracing(stopping, me, log)
	if err != nil {
		return err
	}
	log.Info("listening", "version", me.Version, "address", listener.Addr().String())
	if err := serve(stopping, listener, me, log); err != nil {
		return err
	}
	log.Info("stopped, every request answered")
	// The requests are answered; their spans may not take longer than this from the engine's stop_grace_period.
	limit, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := flush(limit); err != nil {
		log.Warn("the last spans were not sent", "error", err.Error())
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go-app:", err)
		os.Exit(1)
	}
}
