package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

type junitSuites struct {
	XMLName  xml.Name   `xml:"testsuites"`
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Time     string     `xml:"time,attr"`
	Suite    junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Time    string        `xml:"time,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    string        `xml:"line,attr,omitempty"`
	Failure *junitFailure `xml:"failure"`
	Skipped *junitSkipped `xml:"skipped"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

type junitSkipped struct {
	Message string `xml:"message,attr"`
}

// JUnit returns junit.xml: a suite for the plan, a case for every step
// (classname PLAN.KIND) and one for every rule of a proof (classname
// PLAN.KIND.STEP). In a dry run, a step that would change something is skipped,
// with its differences as output, and so are the proofs: nothing was tested.
func JUnit(d *evidence.Document) ([]byte, error) {
	d = display.Copy(d)
	s := junitSuite{
		Name: d.Plan.Name, Time: seconds(d.Summary.WallSeconds), Timestamp: d.Run.Began.Format(time.RFC3339),
		Properties: []junitProperty{
			{"plan", d.Plan.File}, {"plan.sha256", d.Plan.Digest}, {"mode", d.Run.Mode}, {"result", string(d.Result())}, {"outcome", d.Outcome()},
			{"ztplan", d.Run.Version}, {"evidence.sha256", d.Digests.Overall},
		},
	}
	if d.Run.Remark != "" {
		s.Properties = append(s.Properties, junitProperty{"remark", d.Run.Remark})
	}
	for _, st := range d.Steps {
		file, line, _ := position(st.Position)
		c := junitCase{Class: d.Plan.Name + "." + st.Kind, Name: st.ID, Time: seconds(st.Seconds), File: file, Line: line}
		switch st.State {
		case "failed":
			c.Failure = &junitFailure{Message: display.FirstLine(st.Error), Type: "failed", Text: failureText(st)}
		case "skipped", "awaiting":
			c.Skipped = &junitSkipped{st.Reason}
		case "after", "would":
			c.Skipped = &junitSkipped{strings.Join(append(reason(st), st.Would...), "; ")}
		case "pending":
			c.Skipped = &junitSkipped{fmt.Sprintf("dry run: %s", display.Count(len(st.Edits), "difference"))}
		}
		c.Out = editLines(st)
		s.Cases = append(s.Cases, c)
		for _, f := range st.Findings {
			fc := junitCase{Class: d.Plan.Name + "." + st.Kind + "." + st.ID, Name: f.Rule, Time: "0.000", File: file, Line: line, Out: f.Detail}
			if !f.Holds {
				fc.Failure = &junitFailure{Message: fmt.Sprintf("saw %s, want %s", plain(f.Have), plain(f.Want)), Type: "violated", Text: f.Detail}
				fc.Out = ""
			}
			s.Cases = append(s.Cases, fc)
		}
	}
	for _, c := range s.Cases {
		s.Tests++
		if c.Failure != nil {
			s.Failures++
		}
		if c.Skipped != nil {
			s.Skipped++
		}
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", "  ")
	err := enc.Encode(junitSuites{Name: "ztplan", Tests: s.Tests, Failures: s.Failures, Skipped: s.Skipped, Time: s.Time, Suite: s})
	b.WriteByte('\n')
	return b.Bytes(), err
}

func reason(s evidence.Step) []string {
	if s.Reason == "" {
		return nil
	}
	return []string{s.Reason}
}

func failureText(s evidence.Step) string {
	text := s.Error
	if s.Position != "" {
		text = s.Position + ": " + text
	}
	for _, r := range remedy(s) {
		text += "\n" + r.Label + ": " + r.Text
	}
	return text
}

func editLines(s evidence.Step) string {
	var b strings.Builder
	for _, e := range s.Edits {
		fmt.Fprintf(&b, "%s %s\n", editMark(e), e.Path)
	}
	return b.String()
}

// seconds has the three digits that readers of junit.xml expect.
func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }
