package helmkit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/manifest"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/kubekit/kubefields"
)

// A CRD is a CustomResourceDefinition as a chart has it.
type CRD = unstructured.Unstructured

// CRDs returns the CustomResourceDefinitions in the chart's crds folder, and
// in those of the subcharts that the values switch on. Helm installs them once
// and then never looks at them again.
func CRDs(c *chart.Chart, v values.Values) ([]*CRD, error) {
	if len(c.Parsed().CRDObjects()) == 0 {
		return nil, nil
	}
	loaded, err := c.Load()
	if err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependenciesWithMerge(loaded, v.Copied()); err != nil {
		return nil, fmt.Errorf("chart %s: %w", c.Name, err)
	}
	var crds []*CRD
	seen := map[string]bool{}
	for _, f := range loaded.CRDObjects() {
		objects, err := manifest.Objects(string(f.File.Data))
		if err != nil {
			return nil, fmt.Errorf("chart %s: %s: %w", c.Name, f.Filename, err)
		}
		for _, o := range objects {
			if o.GetKind() == "CustomResourceDefinition" && !seen[o.GetName()] {
				seen[o.GetName()] = true
				crds = append(crds, o)
			}
		}
	}
	return crds, nil
}

// MissingCRDs returns those of crds that the cluster lacks or does not serve yet,
// and a remark for each that it has in an older form: without a version that the
// chart brings.
//
// A definition whose API server was killed before it had established it stays like
// that until the server looks at all definitions again, which it does every five
// minutes.
func MissingCRDs(ctx context.Context, cluster *kubekit.Cluster, crds []*CRD) (missing []*CRD, remarks []string, err error) {
	refs := make([]kubekit.Ref, len(crds))
	for i, o := range crds {
		refs[i] = kubekit.RefOf(o)
	}
	have, err := cluster.Status(ctx, refs...)
	if err != nil {
		return nil, nil, err
	}
	for i, st := range have {
		if !st.Done {
			missing = append(missing, crds[i])
		}
		if st.Object == nil {
			continue
		}
		served := versionsOf(st.Object)
		for _, v := range versionsOf(crds[i]) {
			if !slices.Contains(served, v) {
				remarks = append(remarks, fmt.Sprintf("CustomResourceDefinition %s in the cluster lacks version %s, which the chart brings: Helm never upgrades what is in a chart's crds folder; apply it yourself if it is needed", st.Ref.Name, v))
			}
		}
	}
	return missing, remarks, nil
}

func versionsOf(crd *unstructured.Unstructured) []string {
	list, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	var names []string
	for _, item := range list {
		if m, ok := item.(map[string]any); ok && kubefields.Text(m["name"]) != "" {
			names = append(names, kubefields.Text(m["name"]))
		}
	}
	return names
}

// CreateCRDs creates CustomResourceDefinitions, all at once, as far as they are not
// there, and returns when they are established.
func CreateCRDs(ctx context.Context, cluster *kubekit.Cluster, crds []*CRD) error {
	errs := make([]error, len(crds))
	var wg engine.Group
	for i, o := range crds {
		wg.Go(func() { errs[i] = createCRD(ctx, cluster, o) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	cluster.Mapper().Reset()
	return nil
}

func createCRD(ctx context.Context, cluster *kubekit.Cluster, crd *CRD) error {
	if err := cluster.Create(ctx, crd, ""); err != nil {
		return err
	}
	return cluster.Until(ctx, kubekit.RefOf(crd), func(st kubekit.Status) (bool, error) {
		if st.Failed {
			return false, fmt.Errorf("%s: %s", st.Ref, st.Message)
		}
		return st.Done, nil
	})
}

// NamesOf lists names, sorted.
func NamesOf(objects []*CRD) []string {
	names := make([]string, len(objects))
	for i, o := range objects {
		names[i] = o.GetName()
	}
	slices.SortFunc(names, strings.Compare)
	return names
}
