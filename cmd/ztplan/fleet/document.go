package fleet

import "github.com/ztplan/ztplan/engine"

// APIVersion and Kind are the first keys of every fleet.
const (
	APIVersion = "ztplan.dev/v1"
	Kind       = "Fleet"
)

// A Document is a fleet as it is written.
type Document struct {
	// APIVersion is ztplan.dev/v1.
	APIVersion string `yaml:"apiVersion" check:"required,oneof=ztplan.dev/v1"`
	// Kind is Fleet.
	Kind string `yaml:"kind" check:"required,oneof=Fleet"`
	// Metadata names the fleet.
	Metadata Metadata `yaml:"metadata" check:"required"`
	// Plan is the plan that every cluster gets. The files that it reads lie in its
	// directory or below.
	Plan engine.File `yaml:"plan" check:"required,exists"`
	// Mode of each cluster's pod: run, or status, which writes nothing.
	Mode string `yaml:"mode" check:"oneof=run|status"`
	// Hub is the cluster that runs the Jobs.
	Hub Hub `yaml:"hub"`
	// Image runs in the pods. The default is the image of this release of ztplan.
	Image string `yaml:"image" check:"nonempty"`
	// Clusters are the members.
	Clusters Inventory `yaml:"clusters" check:"required"`
	// Access says how a pod authenticates to its cluster.
	Access Access `yaml:"access"`
	// Pull is for clusters of which no hub has credentials: ztplan fleet render --pull gives
	// a Job for each, which another tool delivers into the cluster. There is no stop rule,
	// and the order of the waves is that tool's.
	Pull *Pull `yaml:"pull"`
	// Vars are variables of the plan, for each cluster. They may refer to
	// ${cluster.name}, ${cluster.labels.KEY} and ${cluster.properties.KEY}.
	Vars map[string]any `yaml:"vars"`
	// Mirrors replace the beginnings of addresses that are fetched, as --mirror does:
	// address: address.
	Mirrors map[string]string `yaml:"mirrors"`
	// Waves are run one after the other. The default is one wave of all clusters.
	Waves []Wave `yaml:"waves" check:"max=50"`
	// Retries is how often a cluster is tried again after a failure.
	Retries int `yaml:"retries" check:"min=0,max=10"`
	// Timeout bounds one try of one cluster.
	Timeout engine.Duration `yaml:"timeout" check:"min=10s,max=24h"`
	// Evidence is the place where the evidence of the clusters is kept.
	Evidence Evidence `yaml:"evidence"`
}

// Metadata names a fleet.
type Metadata struct {
	// Name begins the names of the fleet's objects: at most 30 lower-case letters,
	// digits and hyphens, beginning with a letter.
	Name string `yaml:"name" check:"required,max=30"`
	// Description is for readers.
	Description string `yaml:"description"`
}

// Hub is the cluster that runs the Jobs.
type Hub struct {
	// Kubeconfig is the path of its kubeconfig. The default is $KUBECONFIG, then
	// ~/.kube/config. --kubeconfig comes first.
	Kubeconfig string `yaml:"kubeconfig"`
	// Context of the kubeconfig. The default is the current one. --context comes first.
	Context string `yaml:"context"`
	// Namespace holds the fleet's objects. It must exist.
	Namespace string `yaml:"namespace" check:"nonempty"`
}

// Inventory lists clusters. Several sources add up.
type Inventory struct {
	// Kubeconfigs are clusters with a kubeconfig each.
	Kubeconfigs []Kubeconfig `yaml:"kubeconfigs"`
	// File is a YAML list of more clusters in the same form.
	File engine.File `yaml:"file" check:"exists"`
	// Profiles are the ClusterProfiles of a namespace of the hub.
	Profiles *Profiles `yaml:"profiles"`
}

// Kubeconfig is one cluster with a kubeconfig.
type Kubeconfig struct {
	// Name of the cluster, unique in the fleet.
	Name string `yaml:"name" check:"required,max=63"`
	// File is the kubeconfig. It is left out with pull.
	File engine.File `yaml:"file" check:"exists"`
	// Context of the kubeconfig. The default is the current one.
	Context string `yaml:"context"`
	// Labels select the cluster for waves.
	Labels map[string]string `yaml:"labels"`
	// Properties are values for variables.
	Properties map[string]string `yaml:"properties"`
}

// Profiles selects ClusterProfiles (multicluster.x-k8s.io).
type Profiles struct {
	// Namespace of the ClusterProfiles.
	Namespace string `yaml:"namespace" check:"required"`
	// Selector is labels that a ClusterProfile must have.
	Selector map[string]string `yaml:"selector"`
	// Unhealthy is the treatment of a ClusterProfile whose condition ControlPlaneHealthy is
	// False: refuse, which makes the fleet invalid, or skip, which leaves the cluster out.
	// The default is refuse.
	Unhealthy string `yaml:"unhealthy" check:"oneof=refuse|skip"`
}

// Access says how a pod authenticates to its cluster. Exactly one way is used; clusters
// with kubeconfigs have secrets by default.
type Access struct {
	// Keyless uses tokens of the pod's own ServiceAccount, which the member clusters
	// trust. Nothing is stored.
	Keyless *Keyless `yaml:"keyless"`
	// Providers uses the access providers of ClusterProfiles.
	Providers *Providers `yaml:"providers"`
	// Secrets stores each cluster's kubeconfig in a Secret; a container sees only its
	// own.
	Secrets *Secrets `yaml:"secrets"`
}

// Pull is the place in a cluster where its Job runs. Both must be there, and the
// ServiceAccount must have the rights that the plan needs, and those to create ConfigMaps
// in the namespace.
type Pull struct {
	// Namespace in the cluster.
	Namespace string `yaml:"namespace" check:"required"`
	// ServiceAccount of the namespace.
	ServiceAccount string `yaml:"serviceAccount" check:"required"`
}

// Keyless is access by tokens of the hub's ServiceAccount issuer.
type Keyless struct {
	// Audience that the token is for: the member's API server accepts it and no other
	// does. May refer to ${cluster.name} and other properties.
	Audience string `yaml:"audience" check:"nonempty"`
}

// Providers is access by credential plugins.
type Providers struct {
	// File lists the providers in the form of
	// sigs.k8s.io/cluster-inventory-api/pkg/access: a name and the command of each. The
	// commands are in the image.
	File engine.File `yaml:"file" check:"required,exists"`
}

// Secrets is access by stored kubeconfigs.
type Secrets struct{}

// Wave is a part of the clusters that is let go at once.
type Wave struct {
	// Name of the wave, unique in the fleet.
	Name string `yaml:"name" check:"required,max=16"`
	// Select is labels that a cluster of the wave has. A cluster belongs to the first
	// wave that selects it. A wave without it takes all clusters that are left.
	Select map[string]string `yaml:"select"`
	// Parallel is how many clusters run at once.
	Parallel int `yaml:"parallel" check:"min=1,max=10000"`
	// Stop is the rule by which no further cluster is touched.
	Stop Stop `yaml:"stop"`
	// Soak is how long the next wave waits after the last cluster of this one.
	Soak engine.Duration `yaml:"soak" check:"min=0s,max=720h"`
}

// Stop is the stop rule of a wave. Clusters that run are let finish.
type Stop struct {
	// Failures is how many clusters of the wave may fail, as a number or as a percentage
	// of the wave, rounded down. One more, and no further cluster is touched. The default
	// is 0.
	Failures Limit `yaml:"failures"`
}

// Evidence is the place where the evidence of the clusters is kept.
type Evidence struct {
	// To is configMaps, a ConfigMap of the hub for each try of each cluster, or oci, a
	// registry.
	To string `yaml:"to" check:"oneof=configMaps|oci"`
	// Repository for oci, such as registry.example.com/ztplan/evidence. Each try of each
	// cluster is an artifact in it, and the ConfigMap of the try has its digest.
	Repository string `yaml:"repository"`
	// Secret is the name of a Secret of type kubernetes.io/dockerconfigjson in the
	// namespace of the hub, with credentials for the repository. The default is none.
	Secret string `yaml:"secret" check:"max=253"`
	// PlainHTTP reaches the registry without TLS. A registry on the same machine is always
	// reached so; any other is refused without TLS unless this is true.
	PlainHTTP bool `yaml:"plainHTTP"`
	// Sign is the private key that signs the report of the fleet, as --sign-key does, which
	// comes first: a PEM file (PKCS#8, Ed25519 or ECDSA P-256) beside the fleet. It stays
	// where the fleet is run from.
	Sign string `yaml:"sign"`
}

// NewDocument returns a document with the defaults.
func NewDocument() *Document {
	return &Document{
		Mode: ModeRun, Hub: Hub{Namespace: "ztplan"}, Retries: 1, Timeout: engine.Duration(defaultTimeout),
		Evidence: Evidence{To: ToConfigMaps},
	}
}
