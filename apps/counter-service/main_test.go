package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestAnswers(t *testing.T) {
	url, _ := startApp(t, startRedis(t).url())
	for _, want := range []struct {
		method, path, key string
		status            int
		contains          string
	}{
		{"GET", "/count", "", 200, `{"count":0,"release":"r8","replica":"2"}`},
		{"POST", "/count", "", 200, `{"count":1,"release":"r8","replica":"2"}`},
		{"GET", "/", "", 200, `<output id="count" aria-live="polite">1</output>`},
		{"GET", "/", "", 200, "counter-service 1.0.0&#43;8 (r8, replica 2)"},
		{"GET", "/version", "", 200, `"version":"1.0.0+8","release":"r8","replica":"2","started_at":"`},
		{"GET", "/healthz", "", 200, "ok\n"},
		{"POST", "/count", "two words", 400, "bad `Idempotency-Key`: give up to 128 visible ASCII characters"},
		{"POST", "/count", strings.Repeat("k", 129), 400, "bad `Idempotency-Key`"},
		{"DELETE", "/count", "", 405, "Method Not Allowed"},
		{"GET", "/nothing", "", 404, "not found"},
		{"GET", "/metrics", "", 200, `http_requests_total{method="POST",route="/count",status="200"} 1`},
		{"GET", "/metrics", "", 200, `http_requests_total{method="GET",route="none",status="404"} 1`},
		{"GET", "/metrics", "", 200, `http_request_duration_seconds_bucket{method="POST",route="/count",le="1"} 3`},
	} {
		got := ask(t, want.method, url+want.path, "Idempotency-Key", want.key)
		if got.status != want.status || !strings.Contains(got.body, want.contains) {
			t.Errorf("%s %s: got %d %q, want %d with %q", want.method, want.path, got.status, got.body, want.status, want.contains)
		}
	}
}

func TestReplicasTogetherCountEachRequestOnce(t *testing.T) {
	redis := startRedis(t)
	one, _ := startApp(t, redis.url())
	two, _ := startApp(t, redis.url())
	var clients sync.WaitGroup
	for client := range 16 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for number := range 25 {
				// Every second request is sent twice with its key, to both replicas.
				headers, times := []string{}, 1
				if number%2 == 0 {
					headers, times = []string{"Idempotency-Key", fmt.Sprintf("%d-%d", client, number)}, 2
				}
				for _, url := range []string{one, two}[:times] {
					if got := ask(t, "POST", url+"/count", headers...); got.status != 200 {
						t.Errorf("got %d %q", got.status, got.body)
					}
				}
			}
		}()
	}
	clients.Wait()
	if got := ask(t, "GET", one+"/count"); !strings.Contains(got.body, `{"count":400,`) {
		t.Errorf("16 clients counted 25 times each; got %s", got.body)
	}
}

func TestARepeatedKeyIsAnsweredWithItsFirstValue(t *testing.T) {
	url, _ := startApp(t, startRedis(t).url())
	first := ask(t, "POST", url+"/count", "Idempotency-Key", "a")
	ask(t, "POST", url+"/count")
	again := ask(t, "POST", url+"/count", "Idempotency-Key", "a")
	if again.body != first.body || first.header.Get("Idempotent-Replayed") != "" || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("got %v, then %v", first, again)
	}
}

func TestRedisDiesUnderLoad(t *testing.T) {
	redis := startRedis(t)
	url, _ := startApp(t, redis.url())
	ask(t, "POST", url+"/count")
	var acknowledged atomic.Int64
	acknowledged.Store(1)
	done := make(chan struct{})
	var clients sync.WaitGroup
	for range 8 {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for {
				select {
				case <-done:
					return
				default:
				}
				switch got := ask(t, "POST", url+"/count"); {
				case got.status == 200:
					acknowledged.Add(1)
				case got.status != 503 || got.header.Get("Retry-After") != "1":
					t.Errorf("got %d %q %v", got.status, got.body, got.header)
				}
			}
		}()
	}
	within(t, "requests are counted", func() bool { return acknowledged.Load() > 100 })
	redis.kill()
	started := time.Now()
	if got := ask(t, "POST", url+"/count"); got.status != 503 || time.Since(started) > answerWithin+time.Second {
		t.Errorf("got %d %q after %s", got.status, got.body, time.Since(started))
	}
	if got := ask(t, "GET", url+"/healthz"); got.status != 200 {
		t.Errorf("an outage of Redis is not the replica's illness: got %d %q", got.status, got.body)
	}
	redis.start()
	before := acknowledged.Load()
	within(t, "counting goes on", func() bool { return acknowledged.Load() > before+100 })
	close(done)
	clients.Wait()
	var counted struct{ Count int64 }
	if err := json.Unmarshal([]byte(ask(t, "GET", url+"/count").body), &counted); err != nil {
		t.Fatal(err)
	}
	// At most the 8 requests that were open when it was killed were counted without an acknowledgement.
	if unsure := counted.Count - acknowledged.Load(); unsure < 0 || unsure > 8 {
		t.Errorf("%d acknowledged, %d counted", acknowledged.Load(), counted.Count)
	}
}

func TestARetryAfterALostAnswerIsCountedOnce(t *testing.T) {
	redis := startRedis(t)
	url, _ := startApp(t, redis.url())
	for number := range 5 {
		key := fmt.Sprint("retry-", number)
		ask(t, "POST", url+"/count", "Idempotency-Key", key)
		redis.kill()
		if got := ask(t, "POST", url+"/count", "Idempotency-Key", key); got.status != 503 {
			t.Errorf("got %d %q without a Redis", got.status, got.body)
		}
		redis.start()
		within(t, "the retry is answered", func() bool {
			return ask(t, "POST", url+"/count", "Idempotency-Key", key).status == 200
		})
	}
	if got := ask(t, "GET", url+"/count"); !strings.Contains(got.body, `{"count":5,`) {
		t.Errorf("got %s", got.body)
	}
}

func TestIsNotReadyBeforeRedisWasReachedOnce(t *testing.T) {
	redis := startRedis(t)
	redis.kill()
	url, _ := startApp(t, redis.url())
	if got := ask(t, "GET", url+"/healthz"); got.status != http.StatusServiceUnavailable {
		t.Errorf("got %d %q", got.status, got.body)
	}
	redis.start()
	within(t, "it gets ready", func() bool { return ask(t, "GET", url+"/healthz").status == 200 })
}

func TestWrongSettingsAreToldWithoutTheirSecrets(t *testing.T) {
	for url, says := range map[string]string{
		"":                         "`REDIS_URL` is not set\n\nhint: set `REDIS_URL` to redis://HOST:PORT/DATABASE, such as redis://redis:6379/0",
		"http://u:s3cret@redis":    "`REDIS_URL` is no address of a Redis\n\nhint: ",
		"redis://u:s3cret@h:1/one": "`REDIS_URL` is no address of a Redis\n\nhint: ",
	} {
		_, err := openStore(url)
		if err == nil || !strings.HasPrefix(err.Error(), says) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: got %v", url, err)
		}
	}
}
