package trace

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// An environment is the part of the process's environment that is decided
// upon here; the rest is read by the SDK.
type environment func(string) (string, bool)

// first returns the value of the first variable that is set and not empty: an
// empty one counts as unset.
func (env environment) first(names ...string) string {
	for _, n := range names {
		if v, _ := env(n); v != "" {
			return v
		}
	}
	return ""
}

// exporter returns the exporter that the environment asks for, nil for none.
// An address that cannot be used is an error here; the SDK would take another.
func (env environment) exporter(ctx context.Context) (sdk.SpanExporter, string, error) {
	endpoint := env.first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if endpoint == "" || strings.EqualFold(env.first("OTEL_SDK_DISABLED"), "true") {
		return nil, "", nil
	}
	switch e := env.first("OTEL_TRACES_EXPORTER"); e {
	case "none":
		return nil, "", nil
	case "", "otlp":
	default:
		return nil, "", fmt.Errorf("OTEL_TRACES_EXPORTER is %q: there is otlp and none", e)
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, "", fmt.Errorf("the OTLP endpoint is not an http or https URL, such as http://collector:4318")
	}
	where := u.Scheme + "://" + u.Host
	switch p := env.first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); p {
	case "", "http/protobuf":
		e, err := otlptracehttp.New(ctx)
		return e, where, err
	case "grpc":
		e, err := otlptracegrpc.New(ctx)
		return e, where, err
	default:
		return nil, "", fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL is %q: there is http/protobuf and grpc", p)
	}
}

// parent returns ctx with the span that the process was started in, if its
// environment names one.
func (env environment) parent(ctx context.Context) context.Context {
	return propagation.TraceContext{}.Extract(ctx, carrier{env})
}

// A carrier is the environment as the propagation API reads it.
type carrier struct{ env environment }

func (c carrier) Get(key string) string { return c.env.first(strings.ToUpper(key)) }

// Set does nothing: nothing is put into the environment.
func (c carrier) Set(string, string) {}

func (c carrier) Keys() []string { return []string{"traceparent", "tracestate"} }
