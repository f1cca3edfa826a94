package kubekit

import "context"

type warningsKey struct{}

// WithWarnings returns a context whose requests hand the warnings of the API
// server (deprecated kinds, ignored fields) to warn. Without it they are
// dropped. warn may be called from several goroutines.
func WithWarnings(ctx context.Context, warn func(text string)) context.Context {
	return context.WithValue(ctx, warningsKey{}, warn)
}

type warnings struct{}

func (warnings) HandleWarningHeaderWithContext(ctx context.Context, code int, _ string, text string) {
	if warn, ok := ctx.Value(warningsKey{}).(func(string)); ok && code == 299 && text != "" {
		warn(text)
	}
}
