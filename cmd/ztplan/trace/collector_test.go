package trace_test

import (
	"compress/gzip"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	wire "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// A receiver is an OpenTelemetry collector as far as traces go: it decodes the
// traces that it gets and keeps them.
type receiver struct {
	collector.UnimplementedTraceServiceServer

	mu       sync.Mutex
	paths    []string
	headers  http.Header
	resource map[string]string
	spans    map[string]*wire.Span // by name
}

func (r *receiver) take(req *collector.ExportTraceServiceRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spans == nil {
		r.spans = make(map[string]*wire.Span)
	}
	for _, rs := range req.ResourceSpans {
		r.resource = attributes(rs.Resource.Attributes)
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				r.spans[s.Name] = s
			}
		}
	}
}

func (r *receiver) got() (map[string]*wire.Span, map[string]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.spans), maps.Clone(r.resource)
}

// http starts the receiver of OTLP/HTTP and returns its base URL.
func (r *receiver) http(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var body io.Reader = req.Body
		if req.Header.Get("Content-Encoding") == "gzip" {
			var err error
			if body, err = gzip.NewReader(body); err != nil {
				t.Error(err)
			}
		}
		data, err := io.ReadAll(body)
		var msg collector.ExportTraceServiceRequest
		if err != nil || req.Header.Get("Content-Type") != "application/x-protobuf" || proto.Unmarshal(data, &msg) != nil {
			http.Error(w, "not a trace in protobuf", http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		r.paths, r.headers = append(r.paths, req.URL.Path), req.Header
		r.mu.Unlock()
		r.take(&msg)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// Export is the method of OTLP/gRPC.
func (r *receiver) Export(ctx context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	r.mu.Lock()
	r.headers = http.Header{}
	for k, v := range md {
		r.headers[http.CanonicalHeaderKey(k)] = v
	}
	r.mu.Unlock()
	r.take(req)
	return &collector.ExportTraceServiceResponse{}, nil
}

// grpc starts the receiver of OTLP/gRPC and returns its URL.
func (r *receiver) grpc(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, r)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return "http://" + l.Addr().String()
}

// attributes returns attributes as text; lists as their items with commas.
func attributes(kvs []*common.KeyValue) map[string]string {
	out := make(map[string]string)
	for _, kv := range kvs {
		out[kv.Key] = text(kv.Value)
	}
	return out
}

func text(v *common.AnyValue) string {
	switch v := v.Value.(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return number(v.IntValue)
	case *common.AnyValue_DoubleValue:
		return number(v.DoubleValue)
	case *common.AnyValue_ArrayValue:
		out := ""
		for i, one := range v.ArrayValue.Values {
			if i > 0 {
				out += ","
			}
			out += text(one)
		}
		return out
	}
	return v.String()
}
