package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	clientTrace  = "0af7651916cd43dd8448eb211c80319c"
	clientParent = "00-" + clientTrace + "-b7ad6b7169203331-01"
)

// shared is a log that the server writes while the test reads.
type shared struct {
	sync.Mutex
	bytes.Buffer
}

func (s *shared) Write(line []byte) (int, error) {
	s.Lock()
	defer s.Unlock()
	return s.Buffer.Write(line)
}

func logged(t *testing.T, log *shared) (lines []map[string]any) {
	t.Helper()
	log.Lock()
	defer log.Unlock()
	for _, line := range strings.Split(strings.TrimSpace(log.String()), "\n") {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("%q is no JSON: %v", line, err)
		}
		lines = append(lines, fields)
	}
	return lines
}

// ask sends one request to an app whose log is returned when the app has stopped.
func ask(t *testing.T, path, parent string) (*http.Response, string, []map[string]any) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stopping, stop := context.WithCancel(context.Background())
	log, ended := &shared{}, make(chan error, 1)
	go func() { ended <- serve(stopping, listener, me, slog.New(newLogHandler(log)).With("app", me.App)) }()
	request, _ := http.NewRequest("GET", "http://"+listener.Addr().String()+path, nil)
	request.Header.Set("X-Request-ID", "id-1")
	if parent != "" {
		request.Header.Set("Traceparent", parent)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(response.Body)
	response.Body.Close()
	stop()
	mustEnd(t, ended)
	return response, string(body), logged(t, log)
}

func TestTraceContextIsLoggedAndAnsweredWithoutACollector(t *testing.T) {
	if _, err := startTracing(context.Background(), me, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	response, _, lines := ask(t, "/version", clientParent)
	if got := response.Header.Get("Traceresponse"); !strings.HasPrefix(got, "00-"+clientTrace+"-") {
		t.Errorf("the answer says %q", got)
	}
	line := lines[0]
	for field, want := range map[string]any{
		"level": "info", "message": "request", "app": "go-app", "trace_id": clientTrace, "method": "GET",
		"path": "/version", "route": "/version", "status": 200.0, "request_id": "id-1",
	} {
		if line[field] != want {
			t.Errorf("%s is %v, not %v, in %v", field, line[field], want, line)
		}
	}
	// Without a client's trace and without a collector there is none to speak of.
	if response, _, lines := ask(t, "/version", ""); response.Header.Get("Traceresponse") != "" || lines[0]["trace_id"] != nil {
		t.Errorf("a trace out of nothing: %v", lines)
	}
}

func TestMetricsCountByRouteAndLeaveProbesOut(t *testing.T) {
	url, _, _ := start(t)
	for _, path := range []string{"/sleep?for=1ms", "/sleep?for=2ms", "/sleep", "/healthz", "/no/such/path"} {
		if _, err := http.Get(url + path); err != nil {
			t.Fatal(err)
		}
	}
	response, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(response.Body)
	for _, want := range []string{
		`http_requests_total{method="GET",route="/sleep",status="200"} 2`,
		`http_requests_total{method="GET",route="/sleep",status="400"} 1`,
		`http_requests_total{method="GET",route="none",status="404"} 1`,
		`http_request_duration_seconds_count{method="GET",route="/sleep",status="200"} 2`,
	} {
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "healthz") || strings.Contains(string(text), "/no/such") {
		t.Errorf("probes or a client's path in\n%s", text)
	}
}

func TestChainRefusesWhatIsNoAppOfTheProject(t *testing.T) {
	url, _, _ := start(t)
	for _, to := range []string{"example.com", "a:80", "a//b@c", "..", strings.Repeat("a,", 8) + "a"} {
		response, err := http.Get(url + "/chain?to=" + to)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("%q: %d", to, response.StatusCode)
		}
	}
	response, _ := http.Get(url + "/chain")
	if body, _ := io.ReadAll(response.Body); response.StatusCode != 200 || !strings.Contains(string(body), `"calls":[]`) {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

// The last test of the file: what it registers is the process's own tracer from then on.
func TestSpansReachACollectorWithTheirResource(t *testing.T) {
	exported := make(chan *collector.ExportTraceServiceRequest, 8)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		request := &collector.ExportTraceServiceRequest{}
		if err := proto.Unmarshal(body, request); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		exported <- request
	}))
	defer receiver.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	flush, err := startTracing(context.Background(), me, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ask(t, "/version", clientParent)
	if err := flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	spans := (<-exported).ResourceSpans[0]
	resource := spans.Resource.String()
	for _, want := range []string{"go-app", "1.4.0+8", "r8"} {
		if !strings.Contains(resource, want) {
			t.Errorf("no %q in %s", want, resource)
		}
	}
	if span := spans.ScopeSpans[0].Spans[0]; span.Name != "GET /version" {
		t.Errorf("the span is named %q", span.Name)
	}
}
