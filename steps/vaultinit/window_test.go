package vaultinit_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
	"github.com/ztplan/ztplan/steps/vaultinit"
)

// BenchmarkWindow measures the whole time in which a kill can lose the keys of a
// Vault, against a real one: from the request to initialise, which Vault may have
// carried out at any moment, until the keys are durable. Only the part after the
// answer is ztplan's: see BenchmarkWindow in package custody.
func BenchmarkWindow(b *testing.B) {
	var all, after []time.Duration
	for b.Loop() {
		v := vaulttest.Start(b)
		p := vaulttest.NewProxy(b, v.Address)
		s := vaultinit.Kind.New().(*vaultinit.Spec)
		s.Vault.Address = p.Address
		s.Keys.File = engine.File{Name: "keys.json", Path: filepath.Join(b.TempDir(), "keys.json")}
		env := vaulttest.Env(b)
		_, edits, err := s.Inspect(b.Context(), env)
		if err != nil {
			b.Fatal(err)
		}
		var asked, answered time.Time
		p.Before(func(r vaulttest.Request) bool {
			if isInit(r) {
				asked = time.Now()
			}
			return false
		}, nil)
		p.After(isInit, func() { answered = time.Now() })
		if err := vaulttest.ApplyAll(b, edits); err != nil {
			b.Fatal(err)
		}
		all, after = append(all, time.Since(asked)), append(after, time.Since(answered))
	}
	report := func(took []time.Duration, what string) {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, what+"-p50-ms")
		b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, what+"-max-ms")
	}
	report(all, "request-to-stored")
	report(after, "answer-to-stored")
}
