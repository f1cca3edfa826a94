package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

//go:embed page.html
var pageText string

//go:embed base.css
var baseStyle string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

// A pageView is the data of page.html.
type pageView struct {
	*evidence.Document
	Style  template.CSS
	Script template.JS
	Policy string // Content-Security-Policy

	Outcome      string // the result in words
	Result       string // as a class
	Left         []string
	Facts        []fact
	Counts       string
	Claim        claimView
	Graph        graphView
	Failed       []stepView
	StepViews    []stepView
	RotationView []rotationView
	After        *diagnosisView
	Loose        []chainView // chains of handshakes that no rotation shows
}

type stepView struct {
	evidence.Step
	Mark, Time, Remark string
	Open               bool
	EditViews          []editView
	FindingViews       []findingView
}

type editView struct {
	Mark, Path, Note, Have, Want string
}

type findingView struct {
	evidence.Finding
	Mark, Saw, Wanted string
}

type rotationView struct {
	evidence.RotationRecord
	Title     string
	Broken    string // the part that was broken on purpose
	Switched  string // how long the switch took
	Doubts    []string
	Rollover  *rolloverView
	Plots     []plotView // of which a stylesheet shows one
	RuleViews []ruleView
	HopViews  []hopLine
	Ends      []endView
	Chains    []chainView
}

type ruleView struct {
	Mark, Name, Limit, Saw string
	Holds                  bool
}

type hopLine struct {
	Number        int
	Name, At, Lag string
	Known         string // the source of its place
}

type endView struct {
	Address, Failures, Gap string
	Protocols              string // "40 h2, 40 http/1.1"
	Attempts               int
	Latency                []latencyView
}

type latencyView struct{ Phase, P50, P90, P99, Max string }

// A chainView is a leaf and the certificates above it.
type chainView struct {
	Role  string // "old", "new", "served"
	Cards []cardView
}

type cardView struct {
	evidence.CertificateRecord
	Place    string // leaf, intermediate, root
	From, To string
	Life     string
	Serial   string
}

// HTML returns report.html: one file that needs no network, with a policy that
// forbids it.
func HTML(d *evidence.Document) ([]byte, error) {
	d = display.Copy(d)
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("report.html: %w", err)
	}
	style := Style(pageStyle)
	v := pageView{
		Document: d, Style: template.CSS(style), Script: template.JS(pageScript), Counts: counts(d),
		Outcome: d.Outcome(), Result: string(d.Result()), Left: d.ProofsLeft(), Facts: facts(d), Claim: newClaim(d), Graph: newGraph(d),
		Policy: Policy(style, pageScript), After: newDiagnosis(d.Diagnosis),
	}
	for _, s := range d.Steps {
		v.StepViews = append(v.StepViews, newStep(s))
		if s.State == "failed" {
			v.Failed = append(v.Failed, v.StepViews[len(v.StepViews)-1])
		}
	}
	shown := make(map[string]bool)
	for _, r := range d.Rotations {
		v.RotationView = append(v.RotationView, newRotation(d, r, shown))
	}
	for _, h := range d.Handshakes {
		if !shown[h.Certificate.Fingerprint] {
			shown[h.Certificate.Fingerprint] = true
			v.Loose = append(v.Loose, newChain(d, "served at "+h.Address, h.Certificate, h.Trust))
		}
	}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return nil, fmt.Errorf("report.html: %w", err)
	}
	return b.Bytes(), nil
}

// Style returns the stylesheet of a page: the rules that all pages of ztplan share, and
// then its own.
func Style(own string) string { return baseStyle + own }

// Policy returns the Content-Security-Policy of a page with one inline stylesheet and one
// inline script, which needs no network.
func Policy(style, script string) string {
	return fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", hash(style), hash(script))
}

// hash returns the name of an inline block in a Content-Security-Policy.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func newStep(s evidence.Step) stepView {
	v := stepView{Step: s, Mark: stateMark(s.State), Time: display.Seconds(s.Seconds), Remark: remark(s), Open: s.State == "failed"}
	for _, e := range s.Edits {
		v.EditViews = append(v.EditViews, editView{editMark(e), e.Path, e.Note, pretty(e.Have), pretty(e.Want)})
	}
	for _, f := range s.Findings {
		fv := findingView{Finding: f, Mark: holdsMark(f.Holds)}
		if f.Have != nil {
			fv.Saw = plain(f.Have)
		}
		if f.Want != nil {
			fv.Wanted = plain(f.Want)
		}
		v.FindingViews = append(v.FindingViews, fv)
	}
	return v
}

// pretty shows a value over several lines.
func pretty(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func newRotation(d *evidence.Document, r evidence.RotationRecord, shown map[string]bool) rotationView {
	v := rotationView{
		RotationRecord: r, Plots: []plotView{newPlot(r, wideSheet), newPlot(r, narrowSheet)},
		Title: fmt.Sprintf("Rotation %d of %s/%s", r.Number, r.Namespace, r.Name), Broken: broken(r.Fault), Switched: switched(r), Doubts: doubts(r), Rollover: rolloverOf(d, r),
	}
	for _, rule := range r.Rules {
		v.RuleViews = append(v.RuleViews, ruleView{holdsMark(rule.Holds), rule.Name, amount(rule, rule.Limit), amount(rule, rule.Saw), rule.Holds})
	}
	for i, h := range r.Hops {
		line := hopLine{Number: i + 1, Name: h.Name, Known: known(h), At: fmt.Sprintf("+%.3f s", h.At.Sub(r.Began).Seconds())}
		if i > 0 {
			line.Lag = fmt.Sprintf("%+.3f s", h.At.Sub(r.Hops[i-1].At).Seconds())
		}
		v.HopViews = append(v.HopViews, line)
	}
	for _, e := range r.Endpoints {
		ev := endView{Address: e.Address, Attempts: e.Attempts, Failures: failures(e), Protocols: countsOf(e.Protocols), Gap: display.Seconds(e.LongestGapSeconds)}
		for _, phase := range []string{"before", "during", "after"} {
			if l, ok := e.Latency[phase]; ok {
				ms := func(p string) string { return fmt.Sprintf("%.1f", 1000*l[p]) }
				ev.Latency = append(ev.Latency, latencyView{phase, ms("p50"), ms("p90"), ms("p99"), ms("max")})
			}
		}
		v.Ends = append(v.Ends, ev)
	}
	for i, ref := range r.Certs {
		role := "also seen"
		switch i {
		case 0:
			role = "old"
		case 1:
			role = "new"
		}
		shown[ref.Fingerprint] = true
		v.Chains = append(v.Chains, newChain(d, role, ref, r.Trust))
	}
	return v
}

// newChain shows the leaf, the chain that came with it, and the root that signed the
// last of them.
func newChain(d *evidence.Document, role string, ref evidence.CertificateRef, trust []string) chainView {
	v := chainView{Role: role}
	all := append([]string{ref.Fingerprint}, ref.Chain...)
	issuer := ""
	for i, f := range all {
		if c := certificate(d, f); c != nil {
			place := "intermediate"
			if i == 0 {
				place = "leaf"
			}
			v.Cards = append(v.Cards, newCard(*c, place))
			issuer = c.Issuer
		}
	}
	for _, f := range trust {
		if c := certificate(d, f); c != nil && c.Subject == issuer && !slices.Contains(all, f) {
			v.Cards = append(v.Cards, newCard(*c, "trusted root"))
			break
		}
	}
	return v
}

func newCard(c evidence.CertificateRecord, place string) cardView {
	const form = "2006-01-02 15:04:05 UTC"
	return cardView{CertificateRecord: c, Place: place, Serial: c.Serial, From: c.NotBefore.Format(form), To: c.NotAfter.Format(form), Life: life(c.NotAfter.Sub(c.NotBefore))}
}

func life(d time.Duration) string {
	switch {
	case d >= 365*24*time.Hour:
		return fmt.Sprintf("%.1f years", d.Hours()/24/365.25)
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	case d >= time.Hour:
		return fmt.Sprintf("%.1f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f minutes", d.Minutes())
}
