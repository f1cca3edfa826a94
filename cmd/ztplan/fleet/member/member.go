package member

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/objects"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/patience"
	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
	"github.com/ztplan/ztplan/engine"
)

// Paths are where the pod has its files.
type Paths struct {
	Run        string // folder of the record
	Cluster    string // entry of the cluster
	Kubeconfig string // with access.secrets; else empty
	Work       string // folder that the pod may write to
	Identity   string // folder of the pod's ServiceAccount: token, ca.crt
	Verdict    string // file of the termination message
	Registry   string // Docker configuration with the credentials for the registry; empty for none
}

// A Pod is a pod of a wave, as its environment names it.
type Pod struct {
	Name, Namespace, Job string
	UID                  types.UID
}

// A Member is one try of one cluster.
type Member struct {
	Run   record.Run
	Wave  record.Wave
	Entry record.Entry

	paths Paths
	pod   Pod
	hub   kubernetes.Interface
}

// Open reads the record and the entry of the cluster. It contacts nothing.
func Open(paths Paths, wave string, env func(string) string) (*Member, error) {
	m := &Member{paths: paths, pod: Pod{
		Name: env("ZTPLAN_POD_NAME"), Namespace: env("ZTPLAN_POD_NAMESPACE"), Job: env("ZTPLAN_JOB_NAME"), UID: types.UID(env("ZTPLAN_POD_UID")),
	}}
	if m.pod.Name == "" || m.pod.Namespace == "" || m.pod.Job == "" {
		return nil, engine.WithHint(errors.New("this command runs in the pods of a fleet: its environment names none"), "use: ztplan fleet run FLEET")
	}
	if err := readJSON(filepath.Join(paths.Run, objects.KeyRun), &m.Run); err != nil {
		return nil, err
	}
	if err := readJSON(paths.Cluster, &m.Entry); err != nil {
		return nil, err
	}
	var err error
	if m.Wave, err = m.Run.Wave(wave); err != nil {
		return nil, err
	}
	config := &rest.Config{
		Host:            apiServer(env),
		BearerTokenFile: filepath.Join(paths.Identity, "token"),
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(paths.Identity, "ca.crt")},
		UserAgent:       "ztplan-fleet",
	}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &patience.Transport{Next: next} })
	m.hub, err = kubernetes.NewForConfig(config)
	return m, err
}

// maxFile bounds the files that a pod is given.
const maxFile = 1 << 20

func readJSON(file string, into any) error {
	data, err := engine.ReadFile(file, maxFile)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// Plan unpacks the bundle and returns the path of the plan.
func (m *Member) Plan() (string, error) {
	data, err := engine.ReadFile(filepath.Join(m.paths.Run, objects.KeyBundle), maxFile)
	if err != nil {
		return "", err
	}
	dir := m.planDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return filepath.Join(dir, m.Run.Plan), objects.Unpack(data, dir)
}

func (m *Member) planDir() string { return filepath.Join(m.paths.Work, "plan") }

// Place returns a position in the plan without the folder that the pod has it in.
func (m *Member) Place(position string) string {
	return strings.TrimPrefix(position, m.planDir()+string(filepath.Separator))
}

// Verdict returns a verdict of this try.
func (m *Member) Verdict() record.Verdict {
	return record.Verdict{Schema: record.VerdictSchema, Run: m.Run.ID, Round: m.Run.Round, Wave: m.Wave.Name, Cluster: m.Entry.Name}
}

// WriteVerdict makes a verdict the pod's termination message.
func (m *Member) WriteVerdict(v record.Verdict) error {
	return os.WriteFile(m.paths.Verdict, v.Encode(), 0o600)
}
