package member

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/patience"
)

// repeat repeats a request to a registry until it is answered, the answer is final, or
// [patience.Limit] is over, and returns its last error. It waits longer each time, at most
// 15 s.
func repeat(ctx context.Context, request func(context.Context) error, final func(error) bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience.Limit)
	defer cancel()
	delay := wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 100, Cap: 15 * time.Second}.DelayFunc()
	var last error
	err := delay.Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		if last = request(ctx); last != nil && final(last) {
			return false, last
		}
		return last == nil, nil
	})
	if err != nil && last != nil {
		return last
	}
	return err
}
