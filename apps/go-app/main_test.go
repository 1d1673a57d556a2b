package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

var me = identity{App: "go-app", Version: "1.4.0+8", Release: "r8", Replica: "2"}

// start serves on a port of its own; stop sends the shutdown, and stopped delivers how serving ended.
func start(t *testing.T) (url string, stop context.CancelFunc, stopped <-chan error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopping, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	ended := make(chan error, 1)
	go func() { ended <- serve(stopping, listener, me, slog.New(slog.DiscardHandler)) }()
	return "http://" + listener.Addr().String(), stop, ended
}

func mustEnd(t *testing.T, stopped <-chan error) {
	t.Helper()
	select {
	case err := <-stopped:
		if err != nil {
			t.Errorf("serving ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("still serving 10s after the stop")
	}
}

func TestAnswersNameTheirRelease(t *testing.T) {
	url, _, _ := start(t)
	for _, want := range []struct {
		method, path, body string
		status             int
		contains           string
	}{
		{"GET", "/", "", 200, "Hi from go-app 1.4.0+8 (r8, replica 2)\n"},
		{"GET", "/healthz", "", 200, "ok\n"},
		{"GET", "/version", "", 200, `"version":"1.4.0+8","release":"r8","replica":"2","started_at":"`},
		{"GET", "/sleep?for=20ms", "", 200, "slept 20ms in go-app 1.4.0+8 (r8, replica 2)"},
		{"GET", "/sleep?for=11m", "", 400, "bad `for`: \"11m\" is no duration from 0s to 10m0s"},
		{"GET", "/sleep", "", 400, "bad `for`: \"\" is no duration"},
		{"GET", "/events?every=1ms", "", 400, "bad `every`: \"1ms\" is no duration from 10ms to 1m0s"},
		{"POST", "/upload", strings.Repeat("x", 70_000), 200, `"bytes":70000`},
		{"GET", "/upload", "", 405, "Method Not Allowed"},
		{"GET", "/nothing", "", 404, "not found"},
	} {
		request, _ := http.NewRequest(want.method, url+want.path, strings.NewReader(want.body))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != want.status || !bytes.Contains(body, []byte(want.contains)) {
			t.Errorf("%s %s: got %d %q, want %d with %q", want.method, want.path, response.StatusCode, body, want.status, want.contains)
		}
		if got := response.Header.Get("X-Release"); got != "r8" {
			t.Errorf("%s %s: release %q", want.method, want.path, got)
		}
	}
}

func TestOpenRequestIsAnsweredAfterTheStop(t *testing.T) {
	url, stop, stopped := start(t)
	// With `Expect: 100-continue` the first byte leaves only once the handler reads: the request is open before the stop.
	reader, writer := io.Pipe()
	request, _ := http.NewRequest("POST", url+"/upload", reader)
	request.Header.Set("Expect", "100-continue")
	client := http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	answered := make(chan string, 1)
	go func() {
		response, err := client.Do(request)
		if err != nil {
			answered <- err.Error()
			return
		}
		body, _ := io.ReadAll(response.Body)
		answered <- string(body)
	}()
	writer.Write([]byte("first"))
	stop()
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a request open: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	writer.Write([]byte(" last"))
	writer.Close()
	if answer := <-answered; !strings.Contains(answer, `"bytes":10`) {
		t.Errorf("got %q", answer)
	}
	mustEnd(t, stopped)
}

func TestEventStreamSaysThatItStops(t *testing.T) {
	url, stop, stopped := start(t)
	response, err := http.Get(url + "/events?every=10ms")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var lines []string
	for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
		lines = append(lines, scanner.Text())
		if scanner.Text() == "id: 2" {
			stop()
		}
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{`data: {"count":1,"release":"r8","replica":"2"}`, "event: stopping\ndata: {\"release\":\"r8\"}"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	mustEnd(t, stopped)
}

func TestWebSocketEchoesThenGoesAway(t *testing.T) {
	url, stop, stopped := start(t)
	ctx := context.Background()
	socket, _, err := websocket.Dial(ctx, url+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	if err := socket.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if kind, message, err := socket.Read(ctx); err != nil || kind != websocket.MessageText || string(message) != "hello" {
		t.Fatalf("got %v %q %v", kind, message, err)
	}
	stop()
	if _, _, err := socket.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("got %v, want status %v", err, websocket.StatusGoingAway)
	}
	mustEnd(t, stopped)
}
