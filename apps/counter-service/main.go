// counter-service counts over Redis: one number, shared by all replicas, incremented exactly once per acknowledged request.
package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

//go:embed VERSION
var versionFile string

const (
	// idleTimeout outlives the 60 s for which nginx keeps an idle upstream connection. The proxy must be the side that
	// closes: were it the app, a POST sent at that very moment would die with the connection.
	idleTimeout = 65 * time.Second
	// flushTimeout leaves most of stop_grace_period to open requests; a collector that is away costs no more than this.
	flushTimeout = 2 * time.Second
	// misconfigured is the exit code of wrong or missing settings: a restart cannot mend them.
	misconfigured = 2
)

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
		App:       cmp.Or(os.Getenv("DEPLOY_APPS_APP"), "counter-service"),
		Version:   cmp.Or(os.Getenv("DEPLOY_APPS_VERSION"), strings.TrimSpace(versionFile)),
		Release:   cmp.Or(os.Getenv("DEPLOY_APPS_RELEASE"), "dev"),
		Replica:   cmp.Or(os.Getenv("DEPLOY_APPS_REPLICA"), "1"),
		StartedAt: time.Now().UTC(),
	}
}

// serve answers until stopping is done, then closes the listener and waits for every open request, however long:
// the limit is the engine's stop_grace_period, and a second one here could only be wrong.
func serve(stopping context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: idleTimeout}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-stopping.Done():
		return server.Shutdown(context.Background())
	}
}

func run() error {
	stopping, restore := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer restore()
	// From the first signal on, a second Ctrl-C ends the process at once.
	context.AfterFunc(stopping, restore)

	me := identityFromEnv()
	log := newLog(os.Stdout, me)
	flush, err := startTracing(stopping, me, os.Getenv)
	if err != nil {
		return err
	}
	store, err := openStore(os.Getenv("REDIS_URL"))
	if err != nil {
		return err
	}
	defer store.close()
	listener, err := net.Listen("tcp", ":"+cmp.Or(os.Getenv("PORT"), "8080"))
	if err != nil {
		return err
	}
	log.Info("listening", "version", me.Version, "address", listener.Addr().String())
	err = serve(stopping, listener, newApp(me, store, log).handler())

	// Spans of the last requests are still in memory; the signal's own context is over by now.
	flushing, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if lost := flush(flushing); lost != nil {
		log.Warn("the last spans were not delivered", "error", lost.Error())
	}
	if err == nil {
		log.Info("stopped, every request answered")
	}
	return err
}

func main() {
	err := run()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "error:", err)
	if errors.As(err, new(settingError)) {
		os.Exit(misconfigured)
	}
	os.Exit(1)
}
