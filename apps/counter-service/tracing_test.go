package main

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

const caller = "4bf92f3577b34da6a3ce929d0e0e4736"

// One test, since the tracing is global: the caller's trace goes through the request to Redis, and into the log.
func TestSpansAndLogBelongToTheCallersTrace(t *testing.T) {
	bodies := make(chan []byte, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var reader io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			reader, _ = gzip.NewReader(r.Body)
		}
		body, _ := io.ReadAll(reader)
		bodies <- body
	}))
	defer receiver.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.URL)
	env := func(name string) string { return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.URL}[name] }
	flush, err := startTracing(context.Background(), me, env)
	if err != nil {
		t.Fatal(err)
	}
	url, stop := startApp(t, startRedis(t).url())
	got := ask(t, "POST", url+"/count", "Idempotency-Key", "private-key", "X-Request-ID", "id-1",
		"traceparent", "00-"+caller+"-00f067aa0ba902b7-01")
	log := stop()
	if err := flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	close(bodies)

	names := map[string]bool{}
	for body := range bodies {
		if strings.Contains(string(body), "private-key") {
			t.Error("an idempotency key left the service in a span")
		}
		var request collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &request); err != nil {
			t.Fatal(err)
		}
		for _, resource := range request.ResourceSpans {
			if text := resource.Resource.String(); !strings.Contains(text, "deploy.release") || !strings.Contains(text, "1.0.0+8") {
				t.Errorf("the resource is %s", text)
			}
			for _, scope := range resource.ScopeSpans {
				for _, span := range scope.Spans {
					if caller == hex.EncodeToString(span.TraceId) {
						names[span.Name] = true
					}
				}
			}
		}
	}
	if !names["POST /count"] || !(names["evalsha"] || names["eval"]) {
		t.Errorf("the caller's trace has %v", names)
	}
	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, log)
	}
	for field, want := range map[string]any{
		"level": "info", "message": "request", "app": "counter-service", "release": "r8", "replica": "2",
		"trace_id": caller, "method": "POST", "route": "/count", "path": "/count", "status": 200.0,
		"request_id": "id-1",
	} {
		if line[field] != want {
			t.Errorf("`%s` is %v in %s", field, line[field], log)
		}
	}
	if seconds, isNumber := line["duration"].(float64); !isNumber || seconds <= 0 || seconds > 60 {
		t.Errorf("no seconds in %s", log)
	}
	if want := fmt.Sprintf("00-%s-%s-01", caller, line["span_id"]); got.header.Get("Traceresponse") != want {
		t.Errorf("got `%s`, want `%s`", got.header.Get("Traceresponse"), want)
	}
}

func TestWithoutAnEndpointNothingIsExported(t *testing.T) {
	flush, err := startTracing(context.Background(), me, func(string) string { return "" })
	if err != nil || flush(context.Background()) != nil {
		t.Errorf("got %v", err)
	}
}
