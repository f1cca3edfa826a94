package vaultunseal_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/vaultinit"
	"github.com/ztplan/ztplan/steps/vaultunseal"
)

// A cluster is a StatefulSet of Vault with raft storage, as the chart makes it.
type cluster struct {
	t         *testing.T
	env       *engine.Env
	client    kubernetes.Interface
	namespace string
	server    vaultkit.Server
	keys      string
}

// raftConfig has a new member looked at every 200 ms, and not every 10 s, whether it may
// vote.
const raftConfig = `
listener "tcp" {
  tls_disable     = 1
  address         = "[::]:8200"
  cluster_address = "[::]:8201"
}
storage "raft" {
  path = "/vault/data"
  autopilot_update_interval    = "100ms"
  autopilot_reconcile_interval = "200ms"
}
service_registration "kubernetes" {}
`

// newCluster makes pods of Vault behind a Service, and waits for nothing. The test goes
// on beside others that have pods of their own.
func newCluster(t *testing.T, replicas int32, edit func(*appsv1.StatefulSet)) *cluster {
	t.Helper()
	t.Parallel()
	env := labtest.Env(t)
	k, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, env: env, client: k.Client(), namespace: labtest.Namespace(t, env), keys: filepath.Join(t.TempDir(), "keys.json")}
	c.server = vaultkit.Server{Service: vaultkit.Service{Namespace: c.namespace, Name: "vault", Port: 8200}}
	labels := map[string]string{"app": "vault"}
	ctx := engine.AllowWrites(t.Context())
	_, err = c.client.CoreV1().ConfigMaps(c.namespace).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "vault-config"}, Data: map[string]string{"vault.hcl": raftConfig},
	}, metav1.CreateOptions{})
	c.ok(err)
	for _, s := range []corev1.Service{
		{ObjectMeta: metav1.ObjectMeta{Name: "vault"}},
		{ObjectMeta: metav1.ObjectMeta{Name: "vault-internal"}, Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone}},
	} {
		s.Spec.Selector, s.Spec.PublishNotReadyAddresses = labels, true
		s.Spec.Ports = []corev1.ServicePort{{Name: "http", Port: 8200}, {Name: "https-internal", Port: 8201}}
		_, err = c.client.CoreV1().Services(c.namespace).Create(ctx, &s, metav1.CreateOptions{})
		c.ok(err)
	}
	// For the labels of the pods.
	_, err = c.client.RbacV1().RoleBindings(c.namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "vault"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: c.namespace, Name: "default"}},
	}, metav1.CreateOptions{})
	c.ok(err)
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	set := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "vault"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, ServiceName: "vault-internal", PodManagementPolicy: appsv1.ParallelPodManagement,
			UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
			Selector:       &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					Containers: []corev1.Container{{
						Name: "vault", Image: "hashicorp/vault:1.21.0",
						Ports: []corev1.ContainerPort{{ContainerPort: 8200}, {ContainerPort: 8201}},
						Env: []corev1.EnvVar{
							field("POD_IP", "status.podIP"), field("HOSTNAME", "metadata.name"),
							field("VAULT_K8S_POD_NAME", "metadata.name"), field("VAULT_K8S_NAMESPACE", "metadata.namespace"),
							field("VAULT_RAFT_NODE_ID", "metadata.name"),
							{Name: "VAULT_API_ADDR", Value: "http://$(POD_IP):8200"},
							{Name: "VAULT_CLUSTER_ADDR", Value: "https://$(HOSTNAME).vault-internal:8201"},
						},
						VolumeMounts: []corev1.VolumeMount{{Name: "config", MountPath: "/vault/config"}, {Name: "data", MountPath: "/vault/data"}},
					}},
					Volumes: []corev1.Volume{{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
						LocalObjectReference: corev1.LocalObjectReference{Name: "vault-config"},
					}}}},
				},
			},
			VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{
				ObjectMeta: metav1.ObjectMeta{Name: "data"},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
					Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
				},
			}},
		},
	}
	if edit != nil {
		edit(set)
	}
	_, err = c.client.AppsV1().StatefulSets(c.namespace).Create(ctx, set, metav1.CreateOptions{})
	c.ok(err)
	return c
}

func (c *cluster) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) init() *vaultinit.Spec {
	s := vaultinit.Kind.New().(*vaultinit.Spec)
	s.Vault.Server, s.Keys.File = c.server, engine.File{Name: "keys.json", Path: c.keys}
	return s
}

func (c *cluster) unseal() *vaultunseal.Spec {
	s := vaultunseal.Kind.New().(*vaultunseal.Spec)
	s.Vault.Server, s.Keys.File = c.server, engine.File{Name: "keys.json", Path: c.keys}
	return s
}

// looks calls inspect until its edits are as wanted, by their paths.
func (c *cluster) looks(inspect func() ([]engine.Edit, error), want ...string) []engine.Edit {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for {
		edits, err := inspect()
		paths := make([]string, len(edits))
		for i, e := range edits {
			paths[i] = e.Path
		}
		if err == nil && slices.Equal(paths, want) {
			return edits
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("edits are %v, %v; want %v", vaulttest.Show(edits), err, want)
		case <-time.After(50 * time.Millisecond): // each look is a question to the API server
		}
	}
}

func (c *cluster) looksInit(want ...string) []engine.Edit {
	c.t.Helper()
	return c.looks(func() ([]engine.Edit, error) {
		_, edits, err := c.init().Inspect(c.t.Context(), c.env)
		return edits, err
	}, want...)
}

func (c *cluster) looksUnseal(want ...string) []engine.Edit {
	c.t.Helper()
	return c.looks(func() ([]engine.Edit, error) {
		_, edits, err := c.unseal().Inspect(c.t.Context(), c.env)
		return edits, err
	}, want...)
}

// begin initialises and unseals all pods, until all are voters.
func (c *cluster) begin() {
	c.t.Helper()
	c.ok(vaulttest.ApplyAll(c.t, c.looksInit("sys/init")))
	edits := c.looksUnseal("pods/vault-0/sys/seal", "pods/vault-1/storage/raft", "pods/vault-2/storage/raft")
	c.ok(vaulttest.ApplyAll(c.t, edits[:1]))
	edits = c.looksUnseal("pods/vault-1/storage/raft", "pods/vault-2/storage/raft")
	// A new member is a voter when it was stable for a second, and not for ten.
	ctx := engine.AllowWrites(c.t.Context())
	c.ok(c.root().Put(ctx, "sys/storage/raft/autopilot/configuration", map[string]any{"server_stabilization_time": "1s"}))
	c.ok(vaulttest.ApplyAll(c.t, edits))
	c.looksUnseal()
}

// root returns a client of the first pod, which is initialised before the others, with the
// root token.
func (c *cluster) root() *vaultkit.Client {
	c.t.Helper()
	answer, _, err := c.unseal().Keys.Look(c.t.Context(), c.env)
	c.ok(err)
	v, err := c.server.Node(c.t.Context(), c.env, "vault-0")
	c.ok(err)
	return v.WithToken(answer.RootToken)
}

// replace deletes a pod and returns when its successor runs.
func (c *cluster) replace(pod string) {
	c.t.Helper()
	ctx := engine.AllowWrites(c.t.Context())
	pods := c.client.CoreV1().Pods(c.namespace)
	old, err := pods.Get(ctx, pod, metav1.GetOptions{})
	c.ok(err)
	c.ok(pods.Delete(ctx, pod, metav1.DeleteOptions{}))
	for {
		now, err := pods.Get(ctx, pod, metav1.GetOptions{})
		if err == nil && now.UID != old.UID && now.Status.Phase == corev1.PodRunning {
			return
		}
		if err != nil && !apierrors.IsNotFound(err) {
			c.t.Fatal(err)
		}
		c.pause()
	}
}

// pause comes before another look: each is a question to the API server, and many are for
// the servers, which have to do something else.
func (c *cluster) pause() {
	c.t.Helper()
	c.ok(engine.Pause(c.t.Context(), 50*time.Millisecond))
}

// Three pods: one is initialised, the others join, each is unsealed by itself, and all
// become voters. A pod that restarts, and one that loses its data, are differences that
// the next run removes; neither is ever initialised.
func TestRaft(t *testing.T) {
	c := newCluster(t, 3, nil)
	edits := c.looksInit("sys/init")
	if want := "in pod vault-0; the others join it when they are unsealed"; edits[0].Note != want {
		t.Errorf("note is %q, want %q", edits[0].Note, want)
	}
	c.begin()
	c.looksInit()
	c.voters()

	c.replace("vault-1")
	edits = c.looksUnseal("pods/vault-1/sys/seal")
	if diff := cmp.Diff([]string{"pods/vault-1/sys/seal: sealed -> unsealed"}, vaulttest.Show(edits)); diff != "" {
		t.Error(diff)
	}
	c.checks(engine.LevelWarn, "vault-1 is sealed")
	c.ok(vaulttest.ApplyAll(t, edits))
	c.looksUnseal()
	c.checks(engine.LevelOK, "3 pods answer and are unsealed, all are voters")

	c.upgrade()

	// The first pod comes back from an upgrade empty: no other goes, and it must join the
	// cluster of the others.
	edits = c.upgraded("again")
	at := slices.IndexFunc(edits, func(e engine.Edit) bool { return e.Path == "pods/vault-0/revision" })
	if at < 0 {
		t.Fatalf("edits are %v", vaulttest.Show(edits))
	}
	ctx := engine.AllowWrites(t.Context())
	c.ok(c.client.CoreV1().PersistentVolumeClaims(c.namespace).Delete(ctx, "data-vault-0", metav1.DeleteOptions{}))
	vaulttest.WantPermanent(t, edits[at].Apply(ctx), "pod vault-0 came back without data: no other pod is replaced", "")
	edits = c.looksUnseal("pods/vault-0/storage/raft")
	c.looksInit()
	c.ok(vaulttest.ApplyAll(t, edits))
	c.looksUnseal()
}

// voters asks who the voters are, for which Vault wants a token. The login of the plan is
// enough, with a policy for one of two paths.
func (c *cluster) voters() {
	c.t.Helper()
	var warned []string
	env := *c.env
	env.Session, env.Warnf = new(engine.Session), func(format string, args ...any) { warned = append(warned, fmt.Sprintf(format, args...)) }
	defer func() { c.ok(env.Session.Close()) }()
	for path, unknown := range map[string]string{ // that the login may read; "" is no login
		"":                                 "the plan has no login; this run has no root token: give the policy",
		"sys/mounts":                       "read sys/storage/raft/configuration: vault answered 403: permission denied; this run has no root token: give",
		"sys/storage/raft/configuration":   "",
		"sys/storage/raft/autopilot/state": "",
	} {
		s := c.unseal()
		s.Keys.File.Path += ".none"
		if path != "" {
			s.Vault.Login = c.login(path)
		}
		warned, env.Step = nil, path
		for range 2 {
			if _, edits, err := s.Inspect(c.t.Context(), &env); err != nil || len(edits) > 0 {
				c.t.Errorf("read on %q: %v, %v", path, vaulttest.Show(edits), err)
			}
		}
		checks := s.Checks(nil)
		doctor := checks[len(checks)-1].Run(c.t.Context(), &env)
		if unknown == "" {
			if len(warned) > 0 || doctor.Level != engine.LevelOK || !strings.HasSuffix(doctor.Detail, ", all are voters") {
				c.t.Errorf("read on %q: warned %q; doctor: %+v", path, warned, doctor)
			}
			continue
		}
		if len(warned) != 1 || !strings.HasPrefix(warned[0], "not checked whether all pods are voters of the raft cluster: "+unknown) {
			c.t.Errorf("read on %q: warned %q", path, warned)
		}
		if doctor.Level != engine.LevelWarn || !strings.Contains(doctor.Detail, "; not checked whether all are voters: "+unknown) {
			c.t.Errorf("read on %q: doctor: %+v", path, doctor)
		}
	}
}

// login makes a login that may read one path.
func (c *cluster) login(path string) *login.Spec {
	c.t.Helper()
	ctx := engine.AllowWrites(c.t.Context())
	v, role := c.root(), "reader-"+strings.ReplaceAll(path, "/", "-")
	if mounts, err := v.Read(ctx, "sys/auth"); err != nil || mounts["approle/"] == nil {
		c.ok(errors.Join(err, v.Put(ctx, "sys/auth/approle", map[string]any{"type": "approle"})))
	}
	c.ok(v.Put(ctx, "sys/policies/acl/"+role, map[string]any{"policy": fmt.Sprintf("path %q { capabilities = [\"read\"] }", path)}))
	c.ok(v.Put(ctx, "auth/approle/role/"+role, map[string]any{"token_policies": role, "token_type": "batch"}))
	id, err := v.Read(ctx, "auth/approle/role/"+role+"/role-id")
	c.ok(err)
	secret, err := v.Write(ctx, "auth/approle/role/"+role+"/secret-id", nil)
	c.ok(err)
	return &login.Spec{Method: "approle", RoleID: vaultkit.Text(id["role_id"]), SecretID: engine.NewSecret(vaultkit.Text(secret["secret_id"]))}
}

// checks asks the check of doctor about the pods.
func (c *cluster) checks(level engine.Level, detail string) {
	c.t.Helper()
	checks := c.unseal().Checks(nil)
	got := checks[len(checks)-1].Run(c.t.Context(), c.env)
	if got.Level != level || got.Detail != detail {
		c.t.Errorf("doctor: %+v, want %v with %q", got, level, detail)
	}
}

// upgrade changes the StatefulSet. Its pods stay until they are asked for to be replaced:
// then the standbys first, the active one last, each unsealed before the next goes.
func (c *cluster) upgrade() {
	c.t.Helper()
	ctx := engine.AllowWrites(c.t.Context())
	edits := c.upgraded("yes")
	if !strings.Contains(edits[2].Note, "the active one") || edits[0].Path < edits[1].Path {
		c.t.Errorf("want the last standby first, and the active one at the end: %+v", edits)
	}
	for _, e := range edits {
		c.ok(e.Apply(ctx))
		nodes, err := c.server.Nodes(ctx, c.env)
		c.ok(err)
		states, err := nodes.States(ctx)
		c.ok(err)
		if len(states) != 3 || slices.ContainsFunc(states, func(s vaultkit.State) bool { return s.Sealed }) {
			c.t.Errorf("after %s: %d pods answer, some of them sealed: %+v", e.Path, len(states), nodes.Missing)
		}
	}
	c.looks(c.restart)
}

// upgraded gives the pods of the StatefulSet an annotation, by which nothing is to be
// unsealed, and returns the edits that replace all three.
func (c *cluster) upgraded(value string) (edits []engine.Edit) {
	c.t.Helper()
	_, err := c.client.AppsV1().StatefulSets(c.namespace).Patch(engine.AllowWrites(c.t.Context()), "vault", types.MergePatchType,
		fmt.Appendf(nil, `{"spec": {"template": {"metadata": {"annotations": {"upgraded": %q}}}}}`, value), metav1.PatchOptions{})
	c.ok(err)
	c.looksUnseal()
	for len(edits) != 3 {
		c.pause()
		edits, err = c.restart()
	}
	c.ok(err)
	return edits
}

func (c *cluster) restart() ([]engine.Edit, error) {
	s := c.unseal()
	s.OnDelete = "restart"
	_, edits, err := s.Inspect(c.t.Context(), c.env)
	return edits, err
}

// An empty pod that is initialised by hand is another Vault behind the same Service.
func TestTwoVaults(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.ok(vaulttest.ApplyAll(t, c.looksInit("sys/init")))
	nodes, err := c.server.Nodes(t.Context(), c.env)
	c.ok(err)
	second := nodes.List[1]
	ctx := engine.AllowWrites(t.Context())
	answer, err := second.Init(ctx, vaultkit.Shamir, vaultkit.InitRequest{SecretShares: 1, SecretThreshold: 1})
	c.ok(err)
	_, err = second.Client.Unseal(ctx, engine.NewSecret(answer.Keys[0]))
	c.ok(err)
	_, edits, err := c.unseal().Inspect(t.Context(), c.env)
	c.ok(err)
	c.ok(vaulttest.ApplyAll(t, edits))
	for _, inspect := range []func() error{
		func() error { _, _, err := c.unseal().Inspect(t.Context(), c.env); return err },
		func() error { _, _, err := c.init().Inspect(t.Context(), c.env); return err },
	} {
		vaulttest.WantPermanent(t, inspect(), "pods vault-0 and vault-1 are two Vaults: their cluster ids are", "remove the volume and the pod of the other")
	}
}

// As long as a pod does not answer it may hold the data of an initialised Vault: none is
// initialised beside it.
func TestInitWaitsForEveryPod(t *testing.T) {
	c := newCluster(t, 2, func(s *appsv1.StatefulSet) {
		s.Spec.Template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				TopologyKey: corev1.LabelHostname, LabelSelector: s.Spec.Selector,
			}},
		}}
	})
	nodes, err := c.server.Nodes(t.Context(), c.env)
	for err == nil && (len(nodes.List) != 1 || len(nodes.Missing) != 1 || !strings.Contains(nodes.Missing[0].Why, "anti-affinity")) {
		c.pause()
		nodes, err = c.server.Nodes(t.Context(), c.env)
	}
	c.ok(err)
	edits := c.looksInit("pods/" + nodes.Missing[0].Pod)
	if edits[0].Apply != nil || !strings.Contains(edits[0].Note, "may hold the data") {
		t.Errorf("edit: %+v", edits[0])
	}
}

// Pods that are made one after the other are not there before the first is ready, which
// it is only when it is unsealed. Nobody can ask them before: as long as their volumes
// exist, which may hold the data of an initialised Vault, none is initialised.
func TestPodsOneAfterTheOther(t *testing.T) {
	c := newCluster(t, 2, func(s *appsv1.StatefulSet) { s.Spec.PodManagementPolicy = appsv1.OrderedReadyPodManagement })
	c.ok(vaulttest.ApplyAll(t, c.looksInit("sys/init")))
	c.ok(vaulttest.ApplyAll(t, c.looksUnseal("pods/2 of 2", "pods/vault-0/sys/seal")))
	c.ok(vaulttest.ApplyAll(t, c.looksUnseal("pods/vault-1/storage/raft")))
	c.looksUnseal()

	// The first pod comes back empty, its keys are gone, and the other one is still to come.
	c.scale(0)
	c.removeClaim("data-vault-0")
	c.ok(os.Remove(c.keys))
	c.scale(2)
	var err error
	for !errors.Is(err, engine.ErrPermanent) {
		c.pause()
		_, _, err = c.init().Inspect(t.Context(), c.env)
	}
	vaulttest.WantPermanent(t, err, "pod vault-0 is not initialised, and pods that are made after it would take up the volume claims data-vault-1:",
		"kubectl delete pvc -n "+c.namespace+" data-vault-1")
	c.removeClaim("data-vault-1")
	c.looksInit("sys/init")
}

// scale sets the number of pods, and returns when pods that are too many are gone.
func (c *cluster) scale(replicas int) {
	c.t.Helper()
	ctx := engine.AllowWrites(c.t.Context())
	_, err := c.client.AppsV1().StatefulSets(c.namespace).Patch(ctx, "vault", types.MergePatchType,
		fmt.Appendf(nil, `{"spec": {"replicas": %d}}`, replicas), metav1.PatchOptions{})
	c.ok(err)
	for {
		pods, err := c.client.CoreV1().Pods(c.namespace).List(ctx, metav1.ListOptions{})
		c.ok(err)
		if len(pods.Items) <= replicas {
			return
		}
		c.pause()
	}
}

// removeClaim deletes a volume claim with its data, and returns when it is gone.
func (c *cluster) removeClaim(name string) {
	c.t.Helper()
	ctx := engine.AllowWrites(c.t.Context())
	claims := c.client.CoreV1().PersistentVolumeClaims(c.namespace)
	c.ok(claims.Delete(ctx, name, metav1.DeleteOptions{}))
	for {
		_, err := claims.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return
		}
		c.ok(err)
		c.pause()
	}
}
