package main

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// startTracing takes part in traces, and exports its own spans when an endpoint is set; an empty one means off.
func startTracing(ctx context.Context, me identity, env func(string) string) (flush func(context.Context) error, err error) {
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
	if env("OTEL_EXPORTER_OTLP_ENDPOINT") == "" || strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") {
		return func(context.Context) error { return nil }, nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("cannot export traces: %w", err)
	}
	// In this order what is set from outside wins.
	described, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", me.App),
		attribute.String("service.version", me.Version),
		attribute.String("deploy.release", me.Release),
		attribute.String("service.instance.id", me.Release+"-"+me.Replica),
	), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("cannot describe this app to the tracing: %w", err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(described))
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}
