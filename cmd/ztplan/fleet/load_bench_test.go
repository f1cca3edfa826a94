package fleet_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps"
)

// Load of a fleet of 1,000 clusters with variables of their own and plans/lab.yaml as the
// plan: with a kubeconfig each, and with one kubeconfig that has a context for each.
func BenchmarkLoad(b *testing.B) {
	const clusters = 1000
	for _, tc := range []struct {
		name  string
		files int
	}{{"a kubeconfig each", clusters}, {"one kubeconfig", 1}} {
		b.Run(tc.name, func(b *testing.B) {
			dir := b.TempDir()
			if err := os.CopyFS(dir, os.DirFS("../../../plans")); err != nil {
				b.Fatal(err)
			}
			b.Chdir(dir)
			write := func(name, text string) {
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					b.Fatal(err)
				}
			}
			var list strings.Builder
			per := clusters / tc.files
			for i := range clusters {
				fmt.Fprintf(&list, "- {name: c%d, file: k%d, context: c%d, properties: {domain: c%d.example}}\n", i, i/per, i, i)
			}
			write("clusters.yaml", list.String())
			for i := range tc.files {
				write(fmt.Sprint("k", i), contexts(i*per, per))
			}
			write("fleet.yaml", `apiVersion: ztplan.dev/v1
kind: Fleet
metadata: {name: prod}
plan: lab.yaml
mode: status
clusters: {file: clusters.yaml}
vars: {domain: "${cluster.properties.domain}"}
`)
			for b.Loop() {
				inputs := engine.NewInputs(b.Context())
				f, err := fleet.Load(fleet.Input{
					File: "fleet.yaml", Inputs: inputs,
					Plan: func(file string, values plan.Values) (*plan.Plan, error) {
						return plan.Load(plan.Input{File: file, Inputs: inputs, Kinds: steps.All(), Connections: steps.Connections(), Values: values})
					},
				})
				if err != nil || len(f.Clusters) != clusters {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N)/clusters, "ms/cluster")
		})
	}
}

// contexts returns a kubeconfig with n contexts, from c(first).
func contexts(first, n int) string {
	var c, s, u strings.Builder
	ca := strings.Repeat("QUJD", 300) // about the size of a certificate
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&c, "- {name: c%d, context: {cluster: c%d, user: c%d}}\n", i, i, i)
		fmt.Fprintf(&s, "- {name: c%d, cluster: {server: \"https://c%d.example:6443\", certificate-authority-data: %s}}\n", i, i, ca)
		fmt.Fprintf(&u, "- {name: c%d, user: {client-certificate-data: %s, client-key-data: %s}}\n", i, ca, ca)
	}
	return "apiVersion: v1\nkind: Config\ncontexts:\n" + c.String() + "clusters:\n" + s.String() + "users:\n" + u.String()
}
