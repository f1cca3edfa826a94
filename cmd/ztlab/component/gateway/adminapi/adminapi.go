// Package adminapi is the language that the ingress controller stand-in and the
// data plane stand-in speak: the part of APISIX's Admin API
// (https://apisix.apache.org/docs/apisix/admin-api/) that carries certificates
// and routes, and one addition of the stand-in's own below [StatePath].
package adminapi

// Kinds of objects that the stand-in's Admin API keeps.
const (
	KindSSL   = "ssls"
	KindRoute = "routes"
)

// Paths of the Admin API. An object is at Prefix + kind + "/" + id.
const (
	Prefix = "/apisix/admin/"
	// StatePath is the stand-in's own: the control plane PUTs a [State] there,
	// and GET returns the last one. Upstream has nothing like it.
	StatePath = "/ztlab/state"
)

// Headers of the Admin API.
const (
	KeyHeader     = "X-API-KEY"     // of a request: the admin key
	VersionHeader = "X-API-VERSION" // of an answer: Version
	Version       = "v3"
)

// Labels that the ingress controller puts on its objects.
const (
	LabelKind       = "k8s/kind"
	LabelNamespace  = "k8s/namespace"
	LabelName       = "k8s/name"
	LabelController = "k8s/controller-name"
	LabelManagedBy  = "manager-by"

	ManagedBy = "apisix-ingress-controller"
)

// An SSL is a certificate and the names it is served for.
type SSL struct {
	ID         string            `json:"id"`
	Cert       string            `json:"cert"`
	Key        string            `json:"key,omitempty"` // in answers as [Encrypted] has it
	SNIs       []string          `json:"snis"`
	Status     *int              `json:"status,omitempty"` // 0: the object is not served
	Client     *Client           `json:"client,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	CreateTime int64             `json:"create_time,omitempty"` // Unix seconds
	UpdateTime int64             `json:"update_time,omitempty"` // Unix seconds
}

// A Client asks for client certificates that a CA has signed.
type Client struct {
	CA    string `json:"ca"`
	Depth *int   `json:"depth,omitempty"` // most intermediates between certificate and CA; 1 without it
	// SkipMTLS are regular expressions of paths that need no certificate. With any, the
	// handshake succeeds with every client, and other paths answer 400.
	SkipMTLS []string `json:"skip_mtls_uri_regex,omitempty"`
}

// A Route sends requests that match to the nodes of its upstream.
type Route struct {
	ID         string            `json:"id"`
	Name       string            `json:"name,omitempty"`
	Hosts      []string          `json:"hosts,omitempty"`
	URIs       []string          `json:"uris"`
	Methods    []string          `json:"methods,omitempty"`
	Priority   int               `json:"priority,omitempty"`
	WebSocket  bool              `json:"enable_websocket,omitempty"`
	Status     *int              `json:"status,omitempty"` // 0: the object is not served
	Upstream   *Upstream         `json:"upstream"`
	Labels     map[string]string `json:"labels,omitempty"`
	CreateTime int64             `json:"create_time,omitempty"`
	UpdateTime int64             `json:"update_time,omitempty"`
}

// An Upstream is where a route's requests go.
type Upstream struct {
	Type  string `json:"type"` // roundrobin
	Nodes []Node `json:"nodes"`
}

// A Node is one server of an upstream.
type Node struct {
	Host   string `json:"host"`
	Port   int    `json:"port"`
	Weight int    `json:"weight"`
}

// An Item is an object as the Admin API answers with it.
type Item[T any] struct {
	Key   string `json:"key"`
	Value T      `json:"value"`
}

// A List is all objects of a kind.
type List[T any] struct {
	List  []Item[T] `json:"list"`
	Total int       `json:"total"`
}

// A State is the control plane's, written to the data plane stand-in.
type State struct {
	// Bugs are the known upstream bugs to show.
	Bugs Bugs `json:"bugs"`
	// Synced: all objects of the control plane have been written.
	Synced bool `json:"synced"`
}
