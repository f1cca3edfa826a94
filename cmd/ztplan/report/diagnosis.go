package report

import (
	"fmt"
	"strings"

	"github.com/ztplan/ztplan/steps/evidence"
)

// sealed describes the seal of a Vault.
func sealed(v evidence.VaultState) string {
	switch {
	case !v.Initialized:
		return "not initialised"
	case v.Sealed:
		return fmt.Sprintf("sealed, %d of %d shares given", v.Progress, v.Threshold)
	}
	return "unsealed"
}

// A vaultLine is a Vault as a page has it.
type vaultLine struct{ Server, State, Version string }

// A diagnosisView is the state after a failure as a page has it.
type diagnosisView struct {
	*evidence.Diagnosis
	Read       string
	VaultLines []vaultLine
}

func newDiagnosis(d *evidence.Diagnosis) *diagnosisView {
	if d == nil {
		return nil
	}
	v := &diagnosisView{Diagnosis: d, Read: d.At.UTC().Format("2006-01-02 15:04:05 UTC")}
	for _, one := range d.Vaults {
		v.VaultLines = append(v.VaultLines, vaultLine{one.Server, sealed(one), one.Version})
	}
	return v
}

// diagnosisSummary writes the state after a failure as Markdown, folded.
func diagnosisSummary(b *strings.Builder, d *evidence.Diagnosis) {
	if d == nil {
		return
	}
	b.WriteString("\n<details><summary>What was there after the failure</summary>\n\n")
	for _, v := range d.Vaults {
		fmt.Fprintf(b, "- Vault at %s: %s\n", Markdown(v.Server), sealed(v))
	}
	for _, o := range d.Objects {
		fmt.Fprintf(b, "- %s %s: %s\n", holdsMark(o.Done), Markdown(o.Object), Markdown(o.Message))
	}
	for _, p := range d.Pods {
		fmt.Fprintf(b, "- %s pod %s/%s %s, %d restarts\n", holdsMark(p.Ready), Markdown(p.Namespace), Markdown(p.Name), Markdown(p.State), p.Restarts)
	}
	for _, e := range d.Events {
		fmt.Fprintf(b, "- %s %s: %s %s\n", e.At.UTC().Format("15:04:05"), Markdown(e.Object), Markdown(e.Reason), Markdown(e.Message))
	}
	for _, r := range d.Remarks {
		fmt.Fprintf(b, "- not read: %s\n", Markdown(r))
	}
	for _, l := range d.Logs {
		text := strings.ReplaceAll(strings.Join(l.Lines, "\n"), "```", "'''")
		fmt.Fprintf(b, "\nLog of %s, %s:\n\n```text\n%s\n```\n", Markdown(l.Pod), Markdown(l.Container), text)
	}
	b.WriteString("\n</details>\n")
}
