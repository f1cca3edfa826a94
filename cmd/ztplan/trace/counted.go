package trace

import (
	"context"
	"sync"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// counted is an exporter that counts the spans that were sent and lost: the SDK
// reports losses to its global error handler only.
type counted struct {
	next sdk.SpanExporter

	mu   sync.Mutex
	sent int
	why  error // of the first loss
}

// ExportSpans hands spans on.
func (c *counted) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := c.next.ExportSpans(ctx, spans)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.sent += len(spans)
	} else if c.why == nil {
		c.why = err
	}
	return nil
}

// Shutdown ends the exporter.
func (c *counted) Shutdown(ctx context.Context) error { return c.next.Shutdown(ctx) }

func (c *counted) result() (sent int, why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent, c.why
}
