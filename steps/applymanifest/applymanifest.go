// Package applymanifest brings Kubernetes objects to the state that manifests ask for, by
// server-side apply, and waits until they are as their specs ask.
//
// # Reads
//
// The API server is asked to apply every object without keeping it (dryRun=All)
// and the answer is compared with the object that is there. So defaults,
// conversions and admission webhooks take part, fields that the manifest
// does not mention are left to others, and a mistake in a manifest is found
// before anything is written: unknown fields are refused.
//
// The API server takes such a dry run for a write. For a user who may not write, the
// fields of the manifest are compared with the object, and those that are managed by
// the step's fieldManager and are not in the manifest any more; a warning says so.
//
// Before anything is contacted, objects of Kubernetes' own kinds are checked against
// their types, and custom resources against a CustomResourceDefinition among the
// manifests: fields of another type, entries of lists that are there twice,
// quantities that cannot be read. A field that is unknown here is an error only if it
// is plainly misspelt, and else a warning of ztplan lint: a newer server may have it,
// and is asked in the dry run.
//
// An object whose kind is not served yet, because another step of the plan brings
// it, is checked against the schema of the CustomResourceDefinition that the
// step has, such as one in a chart: a field that is unknown, or missing, is an
// error before anything is installed. The rest, among it webhooks and rules in
// CEL, is known when the API server can be asked.
//
// # Changes
//
// One edit per object that differs, named "Kind/namespace/name", with the
// fields that differ. An object that does not exist yet is shown as the
// manifest writes it. Values in Secrets are never shown. The order is:
// namespaces, CustomResourceDefinitions, RBAC, configuration, workloads, custom
// resources. An object whose kind comes from a CustomResourceDefinition of the
// same step is applied when that is Established; one that an admission webhook
// has to see is tried until the webhook answers.
//
// Objects that are there but not ready are edits that can only be awaited. Readiness
// depends on the kind: a Deployment is available, a Job has
// completed, a Certificate has Ready=True. Named conditions can be added.
//
// # Work that runs to its end
//
// A Job with ttlSecondsAfterFinished is removed by the cluster when it has run, and so, in
// time, is a Pod that is not restarted. One that has completed counts as there: its
// completion is an edit of its own, which records it in the ConfigMap ztplan-completed beside
// it, with the digest of the manifest and the object's UID. So no run on any machine makes it
// again until the manifest changes or the entry is removed, and when the namespace goes, the
// record goes with it. With wait.for none, nothing is waited for, and the record is made at
// once. A run that is killed between the completion and the record leaves none: then, and
// without the permission to write the ConfigMap, work that has vanished is done again.
//
// # Refuses
//
// Fields with another manager are not taken over unless force is true: a dry run shows
// them as differences, with the manager that set them; a run writes nothing in the step,
// and its error names the owner and the field. An object that the API server rejects for good
// (an unknown field, an immutable field, a denial by a webhook) stops the step
// at once, and so does a Certificate whose issuance has failed, if cert-manager
// tries again only when the step's time is over: it pauses for an hour, unless it
// is configured otherwise. Until then, and while a request is pending because
// the issuer does not answer, the reason and the time of the next try are shown. A
// pending request is tried again after five minutes at the latest, which is why the
// step's timeout is ten; touching an annotation of the CertificateRequest makes
// cert-manager try at once, touching one of the Certificate does not.
//
// Objects that are no longer in the manifests are not deleted; runs list them,
// by their journals.
package applymanifest

import (
	"cmp"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Kind is the kind applyManifest. Its timeout outlasts the longest pause between two
// tries of a request that is pending.
var Kind = engine.NewKind("applyManifest", engine.Policy{
	Timeout:  2 * certmanager.LongestPending,
	Attempts: 3,
	Delay:    500 * time.Millisecond,
	Backoff:  2,
	MaxDelay: 10 * time.Second,
	Jitter:   0.2,
}, func() *Spec {
	return &Spec{
		FieldManager: "ztplan",
		Wait:         Wait{For: waitCurrent},
	}
})

// Values of wait.for.
const (
	waitCurrent = "current"
	waitNone    = "none"
)

// Spec holds the inputs.
type Spec struct {
	// Files are manifests in YAML or JSON, each with one document or several.
	// Lists, those of a kind of their own such as RoleList as well, stand for
	// their items.
	Files []engine.File `yaml:"files" check:"exists"`

	// Manifests are written in the plan itself: one object, a list of objects,
	// or a text with one YAML document or several. They come after those in
	// files.
	Manifests any `yaml:"manifests"`

	// Namespace is given to objects that need a namespace and name none. By
	// default it is the namespace called default: the one in the kubeconfig's
	// context does not count.
	Namespace string `yaml:"namespace"`

	// CreateNamespace makes the namespace if it does not exist.
	CreateNamespace bool `yaml:"createNamespace"`

	// FieldManager is the name under which the API server records who manages
	// the fields in the manifests.
	FieldManager string `yaml:"fieldManager" check:"nonempty"`

	// Force takes over fields that have another manager. Without it they are
	// reported and nothing is changed.
	Force bool `yaml:"force"`

	// Wait is the condition under which the step is done.
	Wait Wait `yaml:"wait"`
}

// Wait is the condition under which a step is done.
type Wait struct {
	// For is current, to wait until every object is as its spec asks, or none.
	For string `yaml:"for" check:"oneof=current|none"`

	// Conditions must hold besides. They are for kinds whose readiness shows only in
	// their own conditions.
	Conditions []Condition `yaml:"conditions"`
}

// A Condition of an object's status.
type Condition struct {
	// APIVersion of the object, such as cert-manager.io/v1. It may be left out
	// for objects of this step.
	APIVersion string `yaml:"apiVersion"`

	// Kind of the object, such as ClusterIssuer.
	Kind string `yaml:"kind" check:"required"`

	// Namespace of the object; by default the one of the step's object with
	// this kind and name, or the step's namespace.
	Namespace string `yaml:"namespace"`

	// Name of the object.
	Name string `yaml:"name" check:"required"`

	// Type of the condition, such as Ready.
	Type string `yaml:"type" check:"required"`

	// Status that the condition must have; by default True.
	Status string `yaml:"status" check:"oneof=True|False|Unknown"`
}

// Outputs holds the facts that the step learned.
type Outputs struct {
	// Objects are the names of the objects, in the order of the manifests:
	// Kind/namespace/name, or Kind/name without a namespace.
	Objects []string `yaml:"objects"`

	// UIDs maps the names of the objects to their UIDs, which a deleted and
	// re-made object changes.
	UIDs map[string]string `yaml:"uids"`
}

func (c Condition) want() string { return cmp.Or(c.Status, "True") }

// concerns reports whether the condition is one of the object that ref names.
func (c Condition) concerns(ref kubekit.Ref) bool {
	return ref.Kind == c.Kind && ref.Name == c.Name &&
		(c.APIVersion == "" || ref.APIVersion == c.APIVersion) &&
		(c.Namespace == "" || ref.Namespace == c.Namespace)
}
