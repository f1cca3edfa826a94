package sarif_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/lint"
	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
	"github.com/ztplan/ztplan/cmd/ztplan/lint/sarif"
	"github.com/ztplan/ztplan/engine/plan/source"
)

// A log has the fields that the standard requires (paragraphs of SARIF 2.1.0).
type log struct {
	Schema  string `json:"$schema"`
	Version string
	Runs    []struct {
		Tool struct {
			Driver struct {
				Name, Version, InformationURI string
				Rules                         []struct {
					ID, HelpURI          string
					ShortDescription     text
					FullDescription      text
					Help                 text
					DefaultConfiguration struct{ Level string }
				}
			}
		}
		ColumnKind string
		Results    []struct {
			RuleID    string
			RuleIndex *int
			Level     string
			Message   text
			Locations []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI, URIBaseID string }
					Region           *struct{ StartLine, StartColumn int }
				}
			}
			Suppressions *[]struct{ Kind, Justification string }
		}
	}
}

type text struct{ Text string }

func write(t *testing.T, r lint.Report, problems error) log {
	t.Helper()
	list, _ := problems.(*source.Problems)
	var b bytes.Buffer
	if err := sarif.Write(&b, r, list, "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	var l log
	d := json.NewDecoder(&b)
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestWrite(t *testing.T) {
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	finding := func(rule string, s rule.Severity, file string) lint.Finding {
		return lint.Finding{Rule: rule, Severity: s, Message: "it is so", Hint: "do this", Place: source.Position{File: file, Line: 7, Column: 3}}
	}
	l := write(t, lint.Report{
		Findings: []lint.Finding{finding("renewal-backoff", lint.Error, "plans/a b.yaml"), finding("helm-support", lint.Note, filepath.Join(here, "x.yaml"))},
		Ignored:  []lint.Ignored{{Finding: finding("plain-keys", lint.Warning, "/elsewhere/x.yaml"), Reason: "a lab"}},
	}, source.NewProblems(&source.Problem{Position: source.Position{File: "plan.yaml", Line: 1, Column: 1}, Summary: "the plan is empty"}))

	if l.Version != "2.1.0" || !strings.HasSuffix(l.Schema, "sarif-schema-2.1.0.json") || len(l.Runs) != 1 {
		t.Fatalf("%+v", l)
	}
	run := l.Runs[0]
	if d := run.Tool.Driver; d.Name != "ztplan" || d.Version != "v1.2.3" || len(d.Rules) != len(rule.All()) || run.ColumnKind != "unicodeCodePoints" {
		t.Errorf("%+v", d)
	}
	levels := []string{"error", "warning", "note"} // 3.27.10
	for _, r := range run.Tool.Driver.Rules {
		if r.ID == "" || !strings.HasPrefix(r.HelpURI, "https://") || r.Help.Text == "" || r.ShortDescription.Text == "" || r.FullDescription.Text == "" ||
			!slices.Contains(levels, r.DefaultConfiguration.Level) {
			t.Errorf("rule %+v", r)
		}
	}
	want := []struct{ rule, level, uri, base, reason string }{
		{"invalid-plan", "error", "plan.yaml", "%SRCROOT%", ""},
		{"renewal-backoff", "error", "plans/a%20b.yaml", "%SRCROOT%", ""},
		{"helm-support", "note", "x.yaml", "%SRCROOT%", ""},
		{"plain-keys", "warning", "file:///elsewhere/x.yaml", "", "a lab"},
	}
	if len(run.Results) != len(want) {
		t.Fatalf("%d results", len(run.Results))
	}
	for i, r := range run.Results {
		w, at := want[i], r.Locations[0].PhysicalLocation
		if r.RuleID != w.rule || r.Level != w.level || at.ArtifactLocation.URI != w.uri || at.ArtifactLocation.URIBaseID != w.base || r.Message.Text == "" {
			t.Errorf("result %+v, want %+v", r, w)
		}
		if r.RuleIndex == nil || run.Tool.Driver.Rules[*r.RuleIndex].ID != r.RuleID { // 3.52.4
			t.Errorf("%s has the index of another rule", r.RuleID)
		}
		if at.Region == nil || at.Region.StartLine < 1 || at.Region.StartColumn < 1 {
			t.Errorf("%s has no region", r.RuleID)
		}
		if r.Suppressions == nil || len(*r.Suppressions) > 0 != (w.reason != "") { // 3.27.23: all or none have the property
			t.Errorf("%s: suppressions %v", r.RuleID, r.Suppressions)
		} else if w.reason != "" && ((*r.Suppressions)[0].Kind != "inSource" || (*r.Suppressions)[0].Justification != w.reason) {
			t.Errorf("%s: suppressions %v", r.RuleID, *r.Suppressions)
		}
	}
	if m := run.Results[1].Message.Text; m != "it is so. do this." {
		t.Errorf("message %q", m)
	}
}

// Without findings, the list is there and empty: the plan was looked at (3.14.23).
func TestNoFindings(t *testing.T) {
	if r := write(t, lint.Report{}, nil).Runs[0].Results; r == nil || len(r) != 0 {
		t.Errorf("results %v", r)
	}
}
