// Package stackdriver stands in for the Stackdriver sink of Vault's telemetry. Its
// client cannot be made in the lab, see package monitoring, so the sink is never
// used. The package has the names that Vault uses.
package stackdriver

import (
	monitoring "cloud.google.com/go/monitoring/apiv3"
	"github.com/armon/go-metrics"
)

// A Config is that of a sink.
type Config struct {
	LabelExtractor                 ExtractLabelsFn
	Bucketer                       BucketFn
	ProjectID, Location, Namespace string
	DebugLogs                      bool
}

// A BucketFn returns a metric's histogram buckets.
type BucketFn func([]string) []float64

// An ExtractLabelsFn returns a metric's name and labels.
type ExtractLabelsFn func([]string, string) ([]string, []metrics.Label, error)

// A Sink discards every metric.
type Sink struct{ metrics.BlackholeSink }

// NewSink returns a Sink.
func NewSink(*monitoring.MetricClient, *Config) *Sink { return &Sink{} }
