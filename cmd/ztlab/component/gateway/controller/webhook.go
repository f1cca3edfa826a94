package controller

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/cache"
)

// Container ports other than the webhook's.
const (
	metricsPort = 8080
	probePort   = 8081
)

// maxReview bounds an admission review.
const maxReview = 8 << 20

// serve starts the webhook and the probes, and reports their addresses.
func (c *controller) serve(ctx context.Context, group *sync.WaitGroup, failed chan<- error) error {
	addresses := map[int]string{}
	start := func(port int, server *http.Server, wrap func(net.Listener) net.Listener) error {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("container port %d: %w", port, err)
		}
		addresses[port] = l.Addr().String()
		server.ReadHeaderTimeout = 10 * time.Second
		server.ErrorLog = slog.NewLogLogger(c.Log.Handler(), slog.LevelWarn)
		context.AfterFunc(ctx, func() { server.Close() })
		group.Go(func() {
			if err := server.Serve(wrap(l)); !errors.Is(err, http.ErrServerClosed) {
				select {
				case failed <- fmt.Errorf("container port %d: %w", port, err):
				default:
				}
			}
		})
		return nil
	}
	plain := func(l net.Listener) net.Listener { return l }
	if err := start(probePort, &http.Server{Handler: http.HandlerFunc(c.probe)}, plain); err != nil {
		return err
	}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "# the stand-in keeps no metrics")
	})
	if err := start(metricsPort, &http.Server{Handler: metrics}, plain); err != nil {
		return err
	}
	if c.WebhookPort != 0 {
		config := &tls.Config{
			MinVersion: tls.VersionTLS12,
			// Read for each connection: the Secret may change.
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
				pair, err := tls.LoadX509KeyPair(filepath.Join(c.WebhookDir, "tls.crt"), filepath.Join(c.WebhookDir, "tls.key"))
				return &pair, err
			},
		}
		secure := func(l net.Listener) net.Listener { return tls.NewListener(l, config) }
		if err := start(c.WebhookPort, &http.Server{Handler: http.HandlerFunc(c.review)}, secure); err != nil {
			return err
		}
	}
	c.Listening(addresses)
	return nil
}

// probe answers /healthz and /readyz.
func (c *controller) probe(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/readyz" && (!c.watched.Load() || slices.ContainsFunc(c.synced, func(synced cache.InformerSynced) bool { return !synced() })) {
		http.Error(w, "the caches are being filled", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// review answers an admission review. Only ApisixTls are looked at: a name that
// another one serves with another certificate is a conflict and denied, a
// missing Secret is a warning. Everything else is allowed.
func (c *controller) review(w http.ResponseWriter, r *http.Request) {
	if !c.watched.Load() {
		http.Error(w, "there are no caches yet", http.StatusServiceUnavailable)
		return
	}
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(io.LimitReader(r.Body, maxReview)).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "not an admission review", http.StatusBadRequest)
		return
	}
	response := &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	if review.Request.Resource.Resource == tlsResource.Resource {
		c.reviewTLS(review.Request.Object.Raw, response)
	}
	review.Request, review.Response = nil, response
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(review)
}

func (c *controller) reviewTLS(raw []byte, response *admissionv1.AdmissionResponse) {
	var u unstructured.Unstructured
	if err := json.Unmarshal(raw, &u.Object); err != nil {
		return // the API server has checked the object already
	}
	o, err := as[apisixTLS](&u)
	if err != nil {
		return
	}
	class, err := c.class(o.Spec.IngressClassName)
	if err != nil || class == nil {
		return
	}
	if conflicts := c.conflicts(o); len(conflicts) > 0 {
		response.Allowed = false
		response.Result = &metav1.Status{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "SSL configuration conflicts detected: " + strings.Join(conflicts, "; ")}
		return
	}
	if _, err := c.secret(o.Spec.Secret); err != nil {
		response.Warnings = append(response.Warnings, fmt.Sprintf("Referenced Secret '%s' not found", o.Spec.Secret.key()))
	}
}

// conflicts are the names that another ApisixTls of the class serves with
// another Secret.
func (c *controller) conflicts(o *apisixTLS) []string {
	var found []string
	for _, other := range list[apisixTLS](c.tls) {
		if other.Namespace == o.Namespace && other.Name == o.Name {
			continue
		}
		if other.Spec.IngressClassName != o.Spec.IngressClassName || other.Spec.Secret == o.Spec.Secret {
			continue
		}
		for _, host := range o.Spec.Hosts {
			if slices.Contains(other.Spec.Hosts, host) {
				found = append(found, fmt.Sprintf("host %q is served by ApisixTls %s/%s with another certificate", host, other.Namespace, other.Name))
			}
		}
	}
	slices.Sort(found)
	return found
}
