package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
)

// newLogHandler writes one JSON object a line, with the same names of fields as the other apps and the proxy.
func newLogHandler(to io.Writer) slog.Handler {
	var level slog.Level // "info", also when the variable is empty or says something else
	_ = level.UnmarshalText([]byte(os.Getenv("LOG_LEVEL")))
	rename := func(_ []string, field slog.Attr) slog.Attr {
		switch field.Key {
		case slog.MessageKey:
			field.Key = "message"
		case slog.LevelKey:
			field.Value = slog.StringValue(strings.ToLower(field.Value.String()))
		}
		return field
	}
	return slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level, ReplaceAttr: rename})
}

// startTracing exports spans when the standard variables name a collector. Without one, a trace context that comes in
// is still passed on. flush sends the last spans.
func startTracing(ctx context.Context, me identity, log *slog.Logger) (flush func(context.Context) error, err error) {
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	// A collector that is away costs its spans and nothing else; said in the form of all other lines.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("telemetry: " + err.Error()) }))
	isDisabled, _ := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED"))
	if isDisabled || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
		return func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, err
	}
	described, err := resource.New(ctx, resource.WithFromEnv(), resource.WithAttributes(
		semconv.ServiceName(me.App),
		semconv.ServiceVersion(me.Version),
		semconv.ServiceInstanceID(me.Release+"-"+me.Replica),
		attribute.String("deploy.release", me.Release),
	))
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(described))
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}
