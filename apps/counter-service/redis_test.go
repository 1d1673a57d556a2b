package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"
)

var me = identity{App: "counter-service", Version: "1.0.0+8", Release: "r8", Replica: "2"}

// server is a real Redis with a folder and a port of its own, kept over restarts.
type server struct {
	t       *testing.T
	port    string
	folder  string
	command *exec.Cmd
}

func startRedis(t *testing.T) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	listener.Close()
	s := &server{t: t, port: port, folder: t.TempDir()}
	t.Cleanup(s.kill)
	s.start()
	return s
}

func (s *server) start() {
	s.t.Helper()
	s.command = exec.Command("redis-server", "--port", s.port, "--bind", "127.0.0.1", "--dir", s.folder,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "")
	if err := s.command.Start(); err != nil {
		s.t.Fatalf("%v; `docker build --target test .` has a redis-server", err)
	}
	within(s.t, "Redis answers", func() bool { return s.tell("PING\r\n") == "+PONG\r\n" })
}

// kill gives it no chance to write anything.
func (s *server) kill() {
	s.command.Process.Kill()
	s.command.Wait()
}

// tell speaks the protocol by hand: what is tested must not be its own witness.
func (s *server) tell(line string) string {
	connection, err := net.DialTimeout("tcp", "127.0.0.1:"+s.port, time.Second)
	if err != nil {
		return err.Error()
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(time.Second))
	io.WriteString(connection, line)
	answer := make([]byte, 256)
	length, _ := connection.Read(answer)
	return string(answer[:length])
}

func (s *server) url() string { return "redis://127.0.0.1:" + s.port + "/0" }

// startApp serves one replica; its log is for reading once it has stopped.
func startApp(t *testing.T, redisURL string) (url string, stop func() *bytes.Buffer) {
	t.Helper()
	store, err := openStore(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopping, cancel := context.WithCancel(context.Background())
	log, ended := new(bytes.Buffer), make(chan error, 1)
	go func() { ended <- serve(stopping, listener, newApp(me, store, newLog(log, me)).handler()) }()
	stop = func() *bytes.Buffer {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("serving ended with %v", err)
			}
			ended <- nil // it may be asked to stop again
		case <-time.After(10 * time.Second):
			t.Error("still serving 10s after the stop")
		}
		return log
	}
	t.Cleanup(func() { stop(); store.close() })
	return "http://" + listener.Addr().String(), stop
}

type answer struct {
	status int
	body   string
	header http.Header
}

func ask(t *testing.T, method, url string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return answer{}
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return answer{response.StatusCode, string(body), response.Header}
}

// within looks again until it is so; the deadline is reached by bugs only.
func within(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !isSo(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so within 20s", what)
		}
	}
}
