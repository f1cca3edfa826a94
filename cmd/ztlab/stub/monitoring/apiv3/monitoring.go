// Package monitoring stands in for the client of Google Cloud's monitoring, which
// Vault's telemetry links for its Stackdriver sink, and with it Google's API
// libraries. The lab cannot reach Google. The package has the names that Vault uses.
package monitoring

import (
	"context"
	"errors"

	"google.golang.org/api/option"
)

// A MetricClient cannot be made.
type MetricClient struct{}

// NewMetricClient returns an error: the lab has no way to Google Cloud.
func NewMetricClient(context.Context, ...option.ClientOption) (*MetricClient, error) {
	return nil, errors.New("monitoring: the lab has no way to Google Cloud")
}
