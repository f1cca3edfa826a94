package assertrotation_test

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/enginetest"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/carollover"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/tlskit/tlstest"
)

const (
	host      = "hello.example.local"
	namespace = "ingress-apisix"
)

var (
	certificates    = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	requests        = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificaterequests"}
	secrets         = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	classResource   = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingressclasses"}
	ingressResource = schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"}
	gatewayResource = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	tlsResource     = schema.GroupVersionResource{Group: "apisix.apache.org", Version: "v2", Resource: "apisixtlses"}
	podResource     = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// A world is a cluster with cert-manager and a gateway, as far as a rotation
// shows: it plays cert-manager's part in the order and with the fields that
// cert-manager uses, and real TLS servers play the gateway.
type world struct {
	t         *testing.T
	root, sub *tlstest.CA
	client    *dynamicfake.FakeDynamicClient
	replicas  []*replica
	leaf      tlstest.Leaf

	mu       sync.Mutex
	pair     *tlstest.Pair
	revision int
	asked    int // how often a renewal was asked for

	// The faults.
	issue    func(n int) *tlstest.Pair              // makes the nth certificate; nil for the default
	keyOf    func(p *tlstest.Pair) []byte           // the key written to the Secret
	issuer   string                                 // the issuer's name in the Secret's annotations
	fail     string                                 // the request fails with this message
	pending  string                                 // the request stays pending with this message
	noPush   func(n, replica int) bool              // the nth Secret never reaches the replica
	lag      func(replica int) time.Duration        // from the Secret to the replica
	noCount  bool                                   // the revision is not counted
	rotating func(n int, replica *replica, on bool) // called before (on) and after each switch
	vault    *part                                  // signs nothing while it is away
	manager  *part                                  // does nothing while it is away
	vaults   *intermediates                         // the authorities of trigger: intermediate
	behind   func() assertrotation.Behind           // the Service; nil if there is none
	identity *tlskit.Identity                       // of the clients; nil if they present none
	stolen   atomic.Int64                           // how long the machine did nothing of this: the proof's clock is later by that
	ctx      context.Context
	done     context.CancelFunc
	wg       sync.WaitGroup
}

// A replica is one server behind the gateway's address.
type replica struct {
	server *tlstest.Server
	dial   func(context.Context) (net.Conn, error)

	next    atomic.Pointer[replica]      // takes the new connections, if there is one
	refuse  atomic.Bool                  // connections are refused
	hang    atomic.Bool                  // connections are accepted and not served
	missing atomic.Bool                  // 404
	stale   atomic.Pointer[tlstest.Pair] // one of two workers shows this
	turn    atomic.Int64
	pick    func(*tlstest.Pair) *tlstest.Pair // the worker's certificate; nil for the server's
}

func newWorld(t *testing.T, replicas int) *world {
	t.Helper()
	w := &world{t: t, root: tlstest.NewCA(t, "Root CA Lab"), issuer: "vault-issuer", revision: 1}
	w.sub = w.root.Intermediate(t, "Intermediate CA Lab")
	w.leaf = tlstest.Leaf{CommonName: "*.example.local", Names: []string{"*.example.local", "example.local"}}
	w.pair = w.make()
	ctx, cancel := context.WithCancel(context.Background())
	w.ctx, w.done = ctx, cancel
	scheme := runtime.NewScheme()
	w.client = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(scheme, map[schema.GroupVersionResource]string{
		certificates: "CertificateList", requests: "CertificateRequestList", secrets: "SecretList", podResource: "PodList",
		tlsResource: "ApisixTlsList", classResource: "IngressClassList", ingressResource: "IngressList", gatewayResource: "GatewayList",
	}, w.certificate(), w.secret(), w.request(1, "True", "Issued", "Certificate fetched from issuer successfully"))
	w.client.PrependReactor("update", "certificates", func(action clienttesting.Action) (bool, runtime.Object, error) {
		update := action.(clienttesting.UpdateAction)
		u := update.GetObject().(*unstructured.Unstructured)
		if update.GetSubresource() == "status" && conditionOf(u, "Issuing")["reason"] == "ManuallyTriggered" {
			if u.GetName() != "hello-cert" {
				w.wg.Go(func() { w.vaults.reissue(ctx, u.GetName()) })
				return false, nil, nil
			}
			w.mu.Lock()
			w.asked++
			w.mu.Unlock()
			w.wg.Go(func() { w.renew(ctx) })
		}
		return false, nil, nil
	})
	for range replicas {
		w.replicas = append(w.replicas, newReplica(t, w.pair))
	}
	return w
}

// close ends what the world started; inside a synctest bubble nothing may
// outlive the test.
func (w *world) close() {
	w.done()
	w.wg.Wait()
	for _, r := range w.replicas {
		r.server.Close()
		if next := r.next.Load(); next != nil {
			next.server.Close()
		}
	}
}

func (w *world) make() *tlstest.Pair {
	l := w.leaf
	l.NotBefore = time.Now().Add(-30 * time.Second).Truncate(time.Second)
	return w.signer().Issue(w.t, l)
}

// signer is the intermediate that signs for those who ask cert-manager.
func (w *world) signer() *tlstest.CA {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sub
}

func newReplica(t *testing.T, pair *tlstest.Pair) *replica {
	r := &replica{}
	r.server = tlstest.NewServer(t, pair, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if r.missing.Load() {
			http.Error(rw, "404 Route Not Found", http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(rw, "hello")
	}))
	r.server.Hello = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		if old := r.stale.Load(); old != nil && r.turn.Add(1)%2 == 0 {
			return old.TLS, nil
		}
		if r.pick != nil {
			return r.pick(r.server.Pair()).TLS, nil
		}
		return r.server.Pair().TLS, nil
	}
	r.dial = r.server.ServePipe()
	return r
}

func (w *world) endpoints() []tlskit.Endpoint {
	var list []tlskit.Endpoint
	for i, r := range w.replicas {
		list = append(list, tlskit.NewEndpoint(fmt.Sprintf("10.0.0.%d:30443", i+1), func(ctx context.Context) (net.Conn, error) {
			if r.refuse.Load() {
				return nil, errors.New("refused")
			}
			if r.hang.Load() {
				conn, _ := net.Pipe()
				return conn, nil
			}
			if next := r.next.Load(); next != nil {
				return next.dial(ctx)
			}
			return r.dial(ctx)
		}))
	}
	return list
}

// renew plays cert-manager from Issuing=True on.
func (w *world) renew(ctx context.Context) {
	w.mu.Lock()
	next := w.revision + 1
	w.mu.Unlock()
	sleep := func(d time.Duration) bool {
		select {
		case <-time.After(d):
			return true
		case <-ctx.Done():
			return false
		}
	}
	if !sleep(20*time.Millisecond) || !w.manager.there(ctx) {
		return
	}
	w.put(requests, w.request(next, "", "", ""))
	sleep(10 * time.Millisecond)
	if w.vault != nil && !w.vault.up() {
		w.put(requests, w.request(next, "False", "Pending", "Vault is sealed"))
		if !w.vault.there(ctx) {
			return
		}
	}
	switch {
	case w.pending != "":
		w.put(requests, w.request(next, "False", "Pending", w.pending))
		return
	case w.fail != "":
		w.put(requests, w.request(next, "False", "Failed", w.fail))
		sleep(5 * time.Millisecond)
		w.update(func(u *unstructured.Unstructured) {
			setCondition(u, "Issuing", "False", "Failed", "The certificate request has failed to complete and will be retried: "+w.fail)
			_ = unstructured.SetNestedField(u.Object, time.Now().UTC().Format(time.RFC3339), "status", "lastFailureTime")
			_ = unstructured.SetNestedField(u.Object, int64(1), "status", "failedIssuanceAttempts")
		})
		return
	}
	issue := w.issue
	if issue == nil {
		issue = func(int) *tlstest.Pair { return w.make() }
	}
	pair := issue(next)
	sleep(50 * time.Millisecond)
	signed := w.request(next, "True", "Issued", "Certificate fetched from issuer successfully")
	_ = unstructured.SetNestedField(signed.Object, base64.StdEncoding.EncodeToString(pair.CertPEM), "status", "certificate")
	w.put(requests, signed)
	sleep(10 * time.Millisecond)
	w.mu.Lock()
	w.pair, w.revision = pair, next
	w.mu.Unlock()
	w.put(secrets, w.secret())
	for i, r := range w.replicas {
		if w.noPush != nil && w.noPush(next-1, i) {
			continue
		}
		w.wg.Go(func() {
			lag := 300 * time.Millisecond
			if w.lag != nil {
				lag = w.lag(i)
			}
			if !sleep(lag) {
				return
			}
			if w.rotating != nil {
				w.rotating(next-1, r, true)
			}
			r.server.Use(pair)
			if w.rotating != nil {
				sleep(500 * time.Millisecond)
				w.rotating(next-1, r, false)
			}
		})
	}
	sleep(5 * time.Millisecond)
	if w.noCount {
		return
	}
	w.update(func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, int64(next), "status", "revision")
		setCondition(u, "Issuing", "", "", "")
	})
}

func (w *world) put(resource schema.GroupVersionResource, u *unstructured.Unstructured) {
	client := w.client.Resource(resource).Namespace(namespace)
	_, err := client.Update(context.Background(), u, metav1.UpdateOptions{})
	if err != nil {
		_, err = client.Create(context.Background(), u, metav1.CreateOptions{})
	}
	if err != nil {
		w.t.Errorf("%s: %v", u.GetName(), err)
	}
}

func (w *world) update(change func(*unstructured.Unstructured)) {
	client := w.client.Resource(certificates).Namespace(namespace)
	u, err := client.Get(context.Background(), "hello-cert", metav1.GetOptions{})
	if err == nil {
		change(u)
		_, err = client.Update(context.Background(), u, metav1.UpdateOptions{})
	}
	if err != nil {
		w.t.Error(err)
	}
}

func (w *world) certificate() *unstructured.Unstructured {
	return object("cert-manager.io/v1", "Certificate", "hello-cert", map[string]any{
		"spec": map[string]any{
			"secretName": "hello-tls", "duration": "1h0m0s", "renewBefore": "55m0s", "commonName": "*.example.local",
			"dnsNames":   []any{"*.example.local", "example.local"},
			"issuerRef":  map[string]any{"name": "vault-issuer", "kind": "ClusterIssuer"},
			"privateKey": map[string]any{"rotationPolicy": "Always"},
		},
		"status": map[string]any{
			"revision":   int64(1),
			"conditions": []any{map[string]any{"type": "Ready", "status": "True", "reason": "Ready", "message": "Certificate is up to date and has not expired"}},
		},
	})
}

func (w *world) secret() *unstructured.Unstructured {
	key := w.pair.KeyPEM
	if w.keyOf != nil {
		key = w.keyOf(w.pair)
	}
	u := object("v1", "Secret", "hello-tls", map[string]any{
		"type": "kubernetes.io/tls",
		"data": map[string]any{
			"tls.crt": base64.StdEncoding.EncodeToString(w.pair.CertPEM),
			"tls.key": base64.StdEncoding.EncodeToString(key),
		},
	})
	u.SetAnnotations(map[string]string{
		"cert-manager.io/certificate-name": "hello-cert",
		"cert-manager.io/issuer-name":      w.issuer,
		"cert-manager.io/issuer-kind":      "ClusterIssuer",
	})
	return u
}

func (w *world) request(revision int, ready, reason, message string) *unstructured.Unstructured {
	u := object("cert-manager.io/v1", "CertificateRequest", fmt.Sprintf("hello-cert-%d", revision), map[string]any{})
	u.SetAnnotations(map[string]string{
		"cert-manager.io/certificate-name":     "hello-cert",
		"cert-manager.io/certificate-revision": fmt.Sprint(revision),
	})
	if ready != "" {
		setCondition(u, "Approved", "True", "cert-manager.io", "Certificate request has been approved by cert-manager.io")
		setCondition(u, "Ready", ready, reason, message)
	}
	return u
}

func object(apiVersion, kind, name string, content map[string]any) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: content}
	u.SetAPIVersion(apiVersion)
	u.SetKind(kind)
	u.SetNamespace(namespace)
	u.SetName(name)
	u.SetUID(types.UID("uid-of-" + name))
	return u
}

func conditionOf(u *unstructured.Unstructured, kind string) map[string]any {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range list {
		if m := c.(map[string]any); m["type"] == kind {
			return m
		}
	}
	return nil
}

// setCondition sets a condition, or removes it if status is "".
func setCondition(u *unstructured.Unstructured, kind, status, reason, message string) {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	var kept []any
	for _, c := range list {
		if c.(map[string]any)["type"] != kind {
			kept = append(kept, c)
		}
	}
	if status != "" {
		kept = append(kept, map[string]any{"type": kind, "status": status, "reason": reason, "message": message})
	}
	_ = unstructured.SetNestedSlice(u.Object, kept, "status", "conditions")
}

// newSpec returns the kind's defaults for the world.
func (w *world) newSpec() *assertrotation.Spec {
	s := assertrotation.Kind.New().(*assertrotation.Spec)
	s.Certificate = certwatch.Ref{Namespace: namespace, Name: "hello-cert"}
	s.URL, s.Trust = "https://"+host, w.root.PEM()
	s.MaxSwitch, s.Settle = engine.Duration(5*time.Second), engine.Duration(5*time.Second)
	s.MaxLate = engine.Duration(6 * time.Second)
	s.Probe.Rate, s.Probe.ConsecutiveNew, s.Probe.HTTP, s.Probe.Workers = 10, 6, "1.1", 2 // cheaper than the defaults
	return s
}

// prove runs the proof for at most limit.
func (w *world) prove(s *assertrotation.Spec, limit time.Duration) (*result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r := &result{edits: enginetest.Edits{Declared: s.Changes(), Writes: w.writes}}
	r.edits.Begin()
	env := &engine.Env{Now: func() time.Time { return time.Now().Add(time.Duration(w.stolen.Load())) }, Session: new(engine.Session), Logf: r.add(&r.log), Statusf: r.add(&r.status), Warnf: r.add(&r.log), Record: r.record, Apply: r.edits.Apply}
	began := time.Now()
	out, findings, err := w.proveIn(ctx, env, s)
	r.out, r.findings, r.took = out, findings, time.Since(began)
	if err := r.edits.Check(); err != nil {
		w.t.Error(err)
	}
	return r, err
}

// proveIn runs the proof in env.
func (w *world) proveIn(ctx context.Context, env *engine.Env, s *assertrotation.Spec) (assertrotation.Outputs, []engine.Finding, error) {
	var reopen func(context.Context) error
	if s.During != nil && s.During.Keys != nil {
		reopen = w.vault.open
	}
	var both func(context.Context) (carollover.Authorities, error)
	if w.vaults != nil {
		both = w.vaults.look
	}
	return s.ProveAt(ctx, env, w.client, reopen, both, w.behind, w.identity, w.endpoints()...)
}

// writes counts the changes that a proof asked the cluster for: a world of its
// own accord writes neither a status nor deletes.
func (w *world) writes() int {
	n := 0
	for _, a := range w.client.Actions() {
		if a.GetVerb() == "delete" || a.GetSubresource() == "status" {
			n++
		}
	}
	return n
}

// A result has the results of a proof.
type result struct {
	out      assertrotation.Outputs
	findings []engine.Finding
	took     time.Duration
	edits    enginetest.Edits

	mu          sync.Mutex
	log, status []string
	records     []evidence.Rotation
	rollovers   []evidence.Rollover
}

func (r *result) record(name string, data any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec, ok := data.(evidence.Rotation); ok && name == evidence.RecordRotation {
		r.records = append(r.records, rec)
	}
	if rec, ok := data.(evidence.Rollover); ok && name == evidence.RecordRollover {
		r.rollovers = append(r.rollovers, rec)
	}
}

func (r *result) add(to *[]string) func(string, ...any) {
	return func(format string, args ...any) {
		r.mu.Lock()
		defer r.mu.Unlock()
		*to = append(*to, fmt.Sprintf(format, args...))
	}
}

func (r *result) violated() []string {
	var rules []string
	for _, f := range r.findings {
		if !f.Holds {
			rules = append(rules, f.Rule)
		}
	}
	return rules
}

func (r *result) find(rule string) engine.Finding {
	for _, f := range r.findings {
		if strings.HasPrefix(f.Rule, rule) {
			return f
		}
	}
	return engine.Finding{Rule: "no such finding: " + rule}
}
