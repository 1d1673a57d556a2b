package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// newLog writes one JSON object a line, named like those of the other apps.
func newLog(to io.Writer, me identity) *slog.Logger {
	var lowest slog.Level // "info", also when the variable is empty or says something else
	_ = lowest.UnmarshalText([]byte(os.Getenv("LOG_LEVEL")))
	rename := func(groups []string, field slog.Attr) slog.Attr {
		switch {
		case len(groups) == 0 && field.Key == slog.MessageKey:
			field.Key = "message"
		case len(groups) == 0 && field.Key == slog.LevelKey:
			field.Value = slog.StringValue(strings.ToLower(field.Value.String()))
		}
		return field
	}
	lines := slog.NewJSONHandler(to, &slog.HandlerOptions{Level: lowest, ReplaceAttr: rename})
	return slog.New(withTrace{lines}).With("app", me.App, "release", me.Release, "replica", me.Replica)
}

// withTrace adds the trace that a line belongs to. It is the caller's also when nothing is exported from here.
type withTrace struct{ slog.Handler }

func (h withTrace) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, record)
}

func (h withTrace) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withTrace{h.Handler.WithAttrs(attrs)}
}
func (h withTrace) WithGroup(name string) slog.Handler { return withTrace{h.Handler.WithGroup(name)} }
