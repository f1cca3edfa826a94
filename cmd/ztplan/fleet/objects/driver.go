package objects

import (
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// driverTries is how many drivers may fail before their Job does. Each goes on where the
// one before it ended.
const driverTries = 100

// Driver returns the objects that let the waves of the round go without a command line: a
// Job of one pod, with the rights of a driver and no others. The name of its
// ServiceAccount has a dot, which none of a wave has.
func (r *Round) Driver() []runtime.Object {
	run := r.Record
	account := r.meta(run.Fleet+".driver", "driver", "")
	account.Labels = map[string]string{record.LabelFleet: run.Fleet, record.LabelKind: "driver", "app.kubernetes.io/managed-by": "ztplan"}
	t := newTemplate("fleet", "drive", "--run="+pathRun, "--work="+pathWork, "--identity="+pathIdentity)
	t.mountRun(run)
	name := Name(run)
	return []runtime.Object{
		&corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ObjectMeta: account},
		&rbacv1.Role{
			TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"}, ObjectMeta: account,
			Rules: r.driverRules(),
		},
		&rbacv1.RoleBinding{
			TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"}, ObjectMeta: account,
			RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account.Name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: account.Name, Namespace: account.Namespace}},
		},
		&batchv1.Job{
			TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
			ObjectMeta: r.meta(name, "driver", ""),
			Spec: batchv1.JobSpec{
				BackoffLimit:         ptr.To(int32(driverTries)),
				PodReplacementPolicy: ptr.To(batchv1.Failed),
				// 1 and 2 are results of the fleet.
				PodFailurePolicy: ignoring(onExit(batchv1.PodFailurePolicyActionFailJob, 1, 2, 3)),
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels(run, "driver", "")},
					Spec:       t.spec(run.Image, account.Name, name),
				},
			},
		},
	}
}

// driverRules are the rights of a driver: to read Jobs, pods and ConfigMaps, to let the
// Jobs go, to hold the Lease of the fleet, and to delete the Secrets of the round, which
// it cannot read.
func (r *Round) driverRules() []rbacv1.PolicyRule {
	var secrets []string
	for _, o := range r.Objects {
		if s, ok := o.(*corev1.Secret); ok {
			secrets = append(secrets, s.Name)
		}
	}
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{batchv1.GroupName}, Resources: []string{"jobs"}, Verbs: []string{"get", "list", "watch", "patch"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "watch"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}},
		{APIGroups: []string{coordinationv1.GroupName}, Resources: []string{"leases"}, Verbs: []string{"create"}},
		{APIGroups: []string{coordinationv1.GroupName}, Resources: []string{"leases"}, ResourceNames: []string{"ztplan-" + LockName(r.Record.Fleet)}, Verbs: []string{"get", "update"}},
	}
	if len(secrets) > 0 {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: secrets, Verbs: []string{"delete"}})
	}
	return rules
}

// LockName is the name of the lock that keeps two drivers of a fleet apart.
func LockName(fleet string) string { return "fleet." + fleet }
