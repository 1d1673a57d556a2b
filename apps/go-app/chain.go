package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"
)

const (
	longestChain = 8
	chainTimeout = 10 * time.Second
	longestLink  = 64 << 10
)

// A link is an app's name, which has neither dots nor a port: requests go to apps of this project and nowhere else.
var chainLink = regexp.MustCompile(`^([a-z0-9][a-z0-9_-]{0,62})(/[A-Za-z0-9/._-]*)?$`)

// Apps reach each other through the proxy under their names, so a deploy of one is not felt by the others.
var chainClient = http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport), Timeout: chainTimeout}

// linkAnswer is what one app of the chain has said.
type linkAnswer struct {
	URL    string `json:"url"`
	Status int    `json:"status"`
	Answer any    `json:"answer"`
}

// chain calls other apps, so that one request crosses several: `/chain?to=node-app,visitors/version`. A name alone hands
// the rest of the chain over to that app's own /chain; a name with a path is asked for that, and the chain goes on here.
func (a *app) chain(w http.ResponseWriter, r *http.Request) {
	links, err := chainLinks(r.FormValue("to"))
	if err != nil {
		http.Error(w, "bad `to`: "+err.Error(), http.StatusBadRequest)
		return
	}
	answers := []linkAnswer{}
	for at, link := range links {
		name, path, hasPath := strings.Cut(link, "/")
		target := "http://" + name + "/" + path
		if !hasPath {
			target = "http://" + name + "/chain?to=" + url.QueryEscape(strings.Join(links[at+1:], ","))
		}
		answer, err := follow(r.Context(), target)
		if err != nil {
			fields := []any{"url", target, "error", err.Error()}
			a.log.Error("chain broke", append(fields, traceFields(trace.SpanContextFromContext(r.Context()))...)...)
			http.Error(w, fmt.Sprintf("`%s` gave no answer", name), http.StatusBadGateway)
			return
		}
		answers = append(answers, answer)
		if !hasPath {
			break
		}
	}
	context := trace.SpanContextFromContext(r.Context())
	respondJSON(w, map[string]any{"app": a.me.App, "release": a.me.Release, "trace_id": context.TraceID().String(), "calls": answers})
}

func chainLinks(text string) ([]string, error) {
	if text == "" {
		return nil, nil // the end of a chain
	}
	links := strings.Split(text, ",")
	if len(links) > longestChain {
		return nil, fmt.Errorf("%d apps are more than %d", len(links), longestChain)
	}
	for _, link := range links {
		if !chainLink.MatchString(link) {
			return nil, fmt.Errorf("%q is no app's name, such as `node-app` or `visitors/version`", link)
		}
	}
	return links, nil
}

func follow(ctx context.Context, target string) (linkAnswer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return linkAnswer{}, err
	}
	response, err := chainClient.Do(request)
	if err != nil {
		return linkAnswer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, longestLink))
	if err != nil {
		return linkAnswer{}, err
	}
	answer := linkAnswer{URL: target, Status: response.StatusCode, Answer: strings.TrimSpace(string(body))}
	if json.Valid(body) {
		answer.Answer = json.RawMessage(body)
	}
	return answer, nil
}
