package controller

import (
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The custom resources, as far as the stand-in acts on them.
var (
	tlsResource   = schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v2", Resource: "apisixtlses"}
	routeResource = schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v2", Resource: "apisixroutes"}
	proxyResource = schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v1alpha1", Resource: "gatewayproxies"}
)

const (
	kindTLS   = "ApisixTls"
	kindRoute = "ApisixRoute"
	kindProxy = "GatewayProxy"
	// kindIngress is watched by its own type.
	kindIngress = "Ingress"
)

type apisixTLS struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		IngressClassName string          `json:"ingressClassName"`
		Hosts            []string        `json:"hosts"`
		Secret           secretReference `json:"secret"`
		Client           *struct {
			CASecret secretReference `json:"caSecret"`
			Depth    int             `json:"depth"`
			SkipMTLS []string        `json:"skip_mtls_uri_regex"`
		} `json:"client"`
	} `json:"spec"`
	Status status `json:"status"`
}

type secretReference struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

func (r secretReference) key() types.NamespacedName {
	return types.NamespacedName{Namespace: r.Namespace, Name: r.Name}
}

type apisixRoute struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		IngressClassName string      `json:"ingressClassName"`
		HTTP             []routeRule `json:"http"`
	} `json:"spec"`
	Status status `json:"status"`
}

type routeRule struct {
	Name     string `json:"name"`
	Priority int    `json:"priority"`
	Match    struct {
		Hosts   []string `json:"hosts"`
		Paths   []string `json:"paths"`
		Methods []string `json:"methods"`
	} `json:"match"`
	Backends  []backend `json:"backends"`
	WebSocket bool      `json:"websocket"`
}

type backend struct {
	ServiceName        string             `json:"serviceName"`
	ServicePort        intstr.IntOrString `json:"servicePort"`
	ResolveGranularity string             `json:"resolveGranularity"`
	Weight             *int               `json:"weight"`
}

type gatewayProxy struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Provider struct {
			Type         string `json:"type"`
			ControlPlane *struct {
				Endpoints []string `json:"endpoints"`
				Service   *struct {
					Name string `json:"name"`
					Port int    `json:"port"`
				} `json:"service"`
				Auth struct {
					AdminKey *struct {
						Value     string `json:"value"`
						ValueFrom *struct {
							SecretKeyRef *struct {
								Name string `json:"name"`
								Key  string `json:"key"`
							} `json:"secretKeyRef"`
						} `json:"valueFrom"`
					} `json:"adminKey"`
				} `json:"auth"`
			} `json:"controlPlane"`
		} `json:"provider"`
	} `json:"spec"`
}

type status struct {
	Conditions []metav1.Condition `json:"conditions"`
}

// as reads an object that came from a watch.
func as[T any](object any) (*T, error) {
	u, ok := object.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("%T is not an unstructured object", object)
	}
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, typed); err != nil {
		return nil, fmt.Errorf("%s %s/%s: %w", u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
	return typed, nil
}

// portText is a port as a plan writes it.
func portText(port intstr.IntOrString) string {
	if port.Type == intstr.Int {
		return strconv.Itoa(port.IntValue())
	}
	return port.StrVal
}
