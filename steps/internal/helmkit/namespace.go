package helmkit

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Namespace returns the edits that a namespace needs before something can be
// installed in it: none if it is there. One that is being deleted can only be
// waited for. A user who may not read it gets none.
func Namespace(ctx context.Context, env *engine.Env, cluster *kubekit.Cluster, name string) ([]engine.Edit, error) {
	ref := kubekit.Ref{APIVersion: "v1", Kind: "Namespace", Name: name}
	ns, err := cluster.Client().CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return []engine.Edit{{
			Path: ref.String(),
			Want: "exists",
			Apply: func(ctx context.Context) error {
				_, err := cluster.Client().CoreV1().Namespaces().Create(ctx,
					&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{FieldManager: "ztplan"})
				if apierrors.IsAlreadyExists(err) {
					return nil
				}
				return kubekit.Classify(err)
			},
		}}, nil
	case apierrors.IsForbidden(err):
		env.Logf("%s: %v: assuming that it exists", ref, err)
		return nil, nil
	case err != nil:
		return nil, kubekit.Classify(err)
	case ns.DeletionTimestamp == nil:
		return nil, nil
	}
	return []engine.Edit{{
		Path: ref.String(),
		Have: "being deleted",
		Want: "exists",
		Await: func(ctx context.Context) error {
			return cluster.AwaitChange(ctx, kubekit.Watch{Ref: ref, ResourceVersion: ns.ResourceVersion})
		},
	}}, nil
}
