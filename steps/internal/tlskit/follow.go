package tlskit

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Follow makes an identity present the certificate in the Secret, and each new one there,
// until ctx ends: the client's certificate is renewed as well. It logs each change. A
// certificate that cannot be presented is a warning, and the identity stays as it is.
// Files are read once.
func (c *ClientCertificate) Follow(ctx context.Context, env *engine.Env, identity *Identity) {
	if c == nil || c.Secret == nil {
		return
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		env.Warnf("client: Secret %s is not watched: %v", c.Secret, err)
		return
	}
	ref := kubekit.Ref{APIVersion: "v1", Kind: "Secret", Namespace: c.Secret.Namespace, Name: c.Secret.Name}
	last := ""
	for ctx.Err() == nil {
		version, err := c.replace(ctx, env, cluster, identity)
		if err != nil && err.Error() != last && ctx.Err() == nil {
			env.Warnf("client: Secret %s: %v; %s is presented as before", c.Secret, err, identity.Credential())
		}
		if last = ""; err != nil {
			last = err.Error()
		}
		_ = cluster.AwaitChange(ctx, kubekit.Watch{Ref: ref, ResourceVersion: version}) // on an error it is read again
	}
}

// replace reads the Secret and makes the identity present its certificate.
func (c *ClientCertificate) replace(ctx context.Context, env *engine.Env, cluster *kubekit.Cluster, identity *Identity) (version string, err error) {
	secret, err := cluster.Client().CoreV1().Secrets(c.Secret.Namespace).Get(ctx, c.Secret.Name, metav1.GetOptions{})
	if err != nil {
		return "", kubekit.Classify(err)
	}
	next, err := credentialOf(env, secret)
	if err != nil {
		return secret.ResourceVersion, err
	}
	if was := identity.Credential(); !was.Leaf().Equal(next.Leaf()) {
		identity.Replace(next)
		env.Logf("the client certificate changed from %s to %s", was, next)
	}
	return secret.ResourceVersion, nil
}
