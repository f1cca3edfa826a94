package kubekit

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"
)

// A Service with publishNotReadyAddresses calls every pod ready: those that are ready
// themselves are connected to before the others, whatever the order of the slice.
func TestReadyPodsFirst(t *testing.T) {
	endpoint := func(name string, ready, serving *bool) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Name: name},
			Conditions: discoveryv1.EndpointConditions{Ready: ready, Serving: serving},
		}
	}
	slice := discoveryv1.EndpointSlice{
		Ports: []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(int32(8200))}},
		Endpoints: []discoveryv1.Endpoint{
			endpoint("hidden", ptr.To(false), ptr.To(false)),
			endpoint("sealed", ptr.To(true), ptr.To(false)),
			endpoint("unsealed", ptr.To(true), ptr.To(true)),
			endpoint("of an old controller", ptr.To(true), nil),
			endpoint("unknown", nil, nil),
		},
	}
	var got []string
	for _, b := range readyFirst(fromSlices([]discoveryv1.EndpointSlice{slice}, "vault", corev1.ServicePort{Name: "http"})) {
		got = append(got, b.pod.Name)
		if b.ready == (b.pod.Name == "hidden") {
			t.Errorf("%s is ready: %v", b.pod.Name, b.ready)
		}
	}
	if want := "unsealed, of an old controller, unknown, sealed, hidden"; strings.Join(got, ", ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
}
