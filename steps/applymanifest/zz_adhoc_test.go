package applymanifest_test

import (
	"os"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/applymanifest"
	"github.com/ztplan/ztplan/steps/internal/labtest"
	"github.com/ztplan/ztplan/engine/enginetest"
)

func TestAdhocCertManager(t *testing.T) {
	env := labtest.Env(t)
	ch, err := loader.LoadFile(os.Getenv("CM_CHART"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := &action.Configuration{}
	in := action.NewInstall(cfg)
	in.DryRun, in.ClientOnly, in.ReleaseName, in.Namespace, in.DisableHooks = true, true, "cert-manager", "cert-manager", true
	in.KubeVersion = &chartutil.KubeVersion{Version: "v1.36.3", Major: "1", Minor: "36"}
	in.IncludeCRDs = true
	rel, err := in.Run(ch, map[string]any{"crds": map[string]any{"enabled": true}, "startupapicheck": map[string]any{"enabled": false}})
	if err != nil {
		t.Fatal(err)
	}
	text := rel.Manifest + `
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: adhoc}
spec: {selfSigned: {}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: adhoc, namespace: cert-manager}
spec:
  secretName: adhoc
  dnsNames: [adhoc.example.local]
  issuerRef: {kind: ClusterIssuer, name: adhoc}
`
	start := time.Now()
	enginetest.Run(t, enginetest.Case{
		Kind: applymanifest.Kind,
		Env:  env,
		Spec: func() any {
			spec := applymanifest.Kind.New().(*applymanifest.Spec)
			spec.Manifests = text
			spec.Namespace, spec.CreateNamespace = "cert-manager", true
			spec.Wait.Conditions = []applymanifest.Condition{{Kind: "ClusterIssuer", Name: "adhoc", Type: "Ready"}, {Kind: "Certificate", Name: "adhoc", Type: "Ready"}}
			return spec
		},
		Timeout: 2 * time.Minute,
	})
	t.Log(time.Since(start))
	spec := applymanifest.Kind.New().(*applymanifest.Spec)
	spec.Manifests = text
	spec.Namespace, spec.CreateNamespace = "cert-manager", true
	start = time.Now()
	_, edits, err := spec.Inspect(t.Context(), env)
	t.Log("one look", time.Since(start), len(edits), err)
	_ = engine.Redacted
}
