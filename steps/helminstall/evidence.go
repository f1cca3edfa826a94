package helminstall

import (
	"context"
	"net/url"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
)

// record puts the chart on record, once in a run. The digest is that of its
// files, names and contents: the same whether the chart came as an archive or
// as a directory.
func (s *Spec) record(ctx context.Context, env *engine.Env, w *installation) error {
	if env.Record == nil {
		return nil
	}
	key := strings.Join([]string{"helmInstall record", env.Step, w.chart.Name, w.chart.Version}, " ")
	_, err := engine.Share(ctx, env.Session, key, func(context.Context) (bool, error) {
		env.Record(evidence.RecordChart, evidence.Chart{
			Name: w.chart.Name, Version: w.chart.Version, AppVersion: w.chart.AppVersion,
			Repository: withoutPassword(s.Repo), Digest: w.chart.Digest,
		})
		return true, nil
	})
	return err
}

// withoutPassword hides the password that an address may hold.
func withoutPassword(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return address
}
