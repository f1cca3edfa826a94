package node

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/certificate/csr"
)

// serveKubelet serves the kubelet API until ctx ends. Connections wait until
// the certificate has been issued.
func (a *Agent) serveKubelet(ctx context.Context) error {
	callers, err := callerAuthority(a.conf.CAFile)
	if err != nil {
		return err
	}
	issued := make(chan struct{})
	var certificate *tls.Certificate
	a.running.Go(func() {
		err := a.persist(ctx, "certificate of the kubelet API", func() (err error) {
			certificate, err = a.requestCertificate(ctx)
			return err
		})
		if err == nil {
			close(issued)
		}
	})
	s := &http.Server{
		Handler: a.kubeletHandler(),
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			ClientAuth: tls.VerifyClientCertIfGiven,
			ClientCAs:  callers,
			NextProtos: []string{"http/1.1"}, // streams upgrade the connection
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				select {
				case <-issued:
					return certificate, nil
				case <-hello.Context().Done():
					return nil, errors.New("the node has no certificate yet")
				}
			},
		},
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { s.Close() }) // streams end with the node
	defer stop()
	if err := s.ServeTLS(a.listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("kubelet API: %w", err)
	}
	return nil
}

// callerAuthority reads the authority of those who may call the kubelet API.
func callerAuthority(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("kubelet API: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("kubelet API: %s: no certificate in it", file)
	}
	return pool, nil
}

// requestCertificate has the cluster's signer kubernetes.io/kubelet-serving
// issue the certificate, as a kubelet with serverTLSBootstrap does; so
// kube-apiserver can verify it. The approval that an administrator would give is
// given here.
func (a *Agent) requestCertificate(ctx context.Context) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "system:node:" + a.conf.NodeName, Organization: []string{"system:nodes"}},
		DNSNames: []string{a.conf.NodeName},
	}
	host, _, _ := net.SplitHostPort(a.KubeletAddress())
	for _, addr := range []string{a.conf.NodeAddress, host} {
		if ip := net.ParseIP(addr); ip != nil && !slices.ContainsFunc(template.IPAddresses, ip.Equal) {
			template.IPAddresses = append(template.IPAddresses, ip)
		}
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, err
	}
	request := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	name, uid, err := csr.RequestCertificateWithContext(ctx, a.client, request, "", certificatesv1.KubeletServingSignerName, nil,
		[]certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth}, key)
	if err != nil {
		return nil, err
	}
	requests := a.client.CertificatesV1().CertificateSigningRequests()
	r, err := requests.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	r.Status.Conditions = append(r.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue,
		Reason: "LabNode", Message: "the lab made this node itself",
	})
	if _, err := requests.UpdateApproval(ctx, name, r, metav1.UpdateOptions{}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	chain, err := csr.WaitForCertificate(ctx, a.client, name, uid)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
	if err != nil {
		return nil, err
	}
	return &pair, nil
}

// mastersGroup is allowed everything, as everywhere in Kubernetes.
const mastersGroup = "system:masters"

// authorized lets the API server and administrators through. Who they are is
// identified by a client certificate of the cluster's authority or by a bearer token;
// whether they may is the API server's decision (nodes/proxy), as with a
// kubelet's webhook authorization.
func (a *Agent) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, groups, err := a.caller(r)
		if err != nil {
			http.Error(w, "Unauthorized: "+err.Error(), http.StatusUnauthorized)
			return
		}
		if !slices.Contains(groups, mastersGroup) {
			allowed, err := a.mayProxy(r.Context(), user, groups)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			if !allowed {
				http.Error(w, fmt.Sprintf("Forbidden (user=%s, verb=create, resource=nodes, subresource=proxy)", user), http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// caller authenticates a request.
func (a *Agent) caller(r *http.Request) (user string, groups []string, err error) {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		subject := r.TLS.VerifiedChains[0][0].Subject
		return subject.CommonName, subject.Organization, nil
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return "", nil, errors.New("a client certificate or a bearer token is required")
	}
	review, err := a.client.AuthenticationV1().TokenReviews().Create(r.Context(),
		&authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}, metav1.CreateOptions{})
	if err != nil {
		return "", nil, err
	}
	if !review.Status.Authenticated {
		return "", nil, errors.New("the token is not valid")
	}
	return review.Status.User.Username, review.Status.User.Groups, nil
}

// mayProxy asks the API server whether the user may use this node's API.
func (a *Agent) mayProxy(ctx context.Context, user string, groups []string) (bool, error) {
	review, err := a.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: groups, ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "create", Resource: "nodes", Subresource: "proxy", Name: a.conf.NodeName,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}
