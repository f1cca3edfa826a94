package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/steps/internal/labtest"
)

// Fields that a controller keeps are neither differences nor changed by an upgrade,
// unless the chart changes that very field.
func TestKeptFields(t *testing.T) {
	const deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s, namespace: NS}, spec: {replicas: %d, paused: false}}"
	const scaler = "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: %s}, spec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: %s, name: %[1]s}}}"
	const hook = "{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: w, annotations: {%s}}, webhooks: [{name: a, clientConfig: {caBundle: %s}}]}"
	const injected = "cert-manager.io/inject-ca-from: a/b"
	s := newScene(t)
	s.put(fmt.Sprintf(scaler, "web", "Deployment"), fmt.Sprintf(scaler, "db", "StatefulSet"))
	replicas := func(name string, n int) string { return fmt.Sprintf(deployment, name, n) }
	for name, c := range map[string]struct {
		before, target, live string
		kept                 []string
	}{
		"an autoscaler":               {replicas("web", 1), replicas("web", 1), replicas("web", 5), []string{"spec/replicas"}},
		"none, and some of others":    {replicas("api", 1), replicas("api", 1), replicas("api", 5), nil},
		"one of a StatefulSet":        {replicas("db", 1), replicas("db", 1), replicas("db", 5), nil},
		"a chart that scales":         {replicas("web", 1), replicas("web", 2), replicas("web", 5), nil},
		"as many as in the chart":     {replicas("web", 5), replicas("web", 5), replicas("web", 5), nil},
		"an injected bundle":          {fmt.Sprintf(hook, "", "QQ=="), fmt.Sprintf(hook, "", "QQ=="), fmt.Sprintf(hook, injected, "Qg=="), []string{"webhooks[a]/clientConfig/caBundle"}},
		"a bundle that a person set":  {fmt.Sprintf(hook, "", "QQ=="), fmt.Sprintf(hook, "", "QQ=="), fmt.Sprintf(hook, "", "Qg=="), nil},
		"a chart with another bundle": {fmt.Sprintf(hook, "", "QQ=="), fmt.Sprintf(hook, "", "Qw=="), fmt.Sprintf(hook, injected, "Qg=="), nil},
	} {
		kept, err := KeptFields(t.Context(), s.cluster, object(t, s.here(c.before)), object(t, s.here(c.target)), object(t, s.here(c.live)))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.kept, slices.Collect(maps.Keys(kept))); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}

	before, live := object(t, s.here(replicas("web", 1))), object(t, s.here(replicas("web", 5)))
	reader := s.connect(labtest.Reader(t, s.env, s.namespace, "secrets"))
	if kept, err := KeptFields(t.Context(), reader, before, before, live); err != nil || len(kept) > 0 {
		t.Errorf("who may not list autoscalers: %v, %v", kept, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the run is over"))
	if kept, err := KeptFields(ctx, s.cluster, before, before, live); err == nil {
		t.Errorf("where the answer does not come: nothing scales it, %v", kept)
	}
}
