// Package sarif writes the findings of lint in the Static Analysis Results Interchange
// Format, version 2.1.0, which code scanning services read
// (docs.oasis-open.org/sarif/sarif/v2.1.0). Names of fields and the paragraphs in
// comments are those of the standard.
package sarif

import (
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztplan/lint"
	"github.com/ztplan/ztplan/cmd/ztplan/lint/rule"
	"github.com/ztplan/ztplan/engine/plan/source"
)

const (
	schema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	home   = "https://github.com/ztplan/ztplan"
)

type (
	document struct {
		Schema  string `json:"$schema"`
		Version string `json:"version"`
		Runs    []run  `json:"runs"`
	}
	run struct {
		Tool       tool     `json:"tool"`
		ColumnKind string   `json:"columnKind"`
		Results    []result `json:"results"`
	}
	tool struct {
		Driver driver `json:"driver"`
	}
	driver struct {
		Name           string       `json:"name"`
		Version        string       `json:"version"`
		InformationURI string       `json:"informationUri"`
		Rules          []descriptor `json:"rules"`
	}
	descriptor struct {
		ID                   string        `json:"id"`
		ShortDescription     message       `json:"shortDescription"`
		FullDescription      message       `json:"fullDescription"`
		HelpURI              string        `json:"helpUri"`
		Help                 message       `json:"help"`
		DefaultConfiguration configuration `json:"defaultConfiguration"`
	}
	configuration struct {
		Level rule.Severity `json:"level"`
	}
	result struct {
		RuleID       string        `json:"ruleId"`
		RuleIndex    int           `json:"ruleIndex"`
		Level        rule.Severity `json:"level"` // the severities have the standard's names
		Message      message       `json:"message"`
		Locations    []location    `json:"locations"`
		Suppressions []suppression `json:"suppressions"` // of all results or of none (3.27.23)
	}
	message struct {
		Text string `json:"text"`
	}
	location struct {
		PhysicalLocation physical `json:"physicalLocation"`
	}
	physical struct {
		ArtifactLocation artifact `json:"artifactLocation"`
		Region           *region  `json:"region,omitempty"`
	}
	artifact struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId,omitempty"`
	}
	region struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
	suppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
)

// Write writes a report, and the problems of the plan if it has any, as one document.
// version is that of ztplan. Files below the current directory have relative addresses.
func Write(w io.Writer, r lint.Report, problems *source.Problems, version string) error {
	d := driver{Name: "ztplan", Version: version, InformationURI: home, Rules: []descriptor{}}
	for _, known := range rule.All() {
		d.Rules = append(d.Rules, descriptor{
			ID: known.ID, ShortDescription: message{known.Title}, FullDescription: message{sentence(known.Why)},
			HelpURI: known.Sources[0], Help: message{known.Text()}, DefaultConfiguration: configuration{known.Severity},
		})
	}
	index := func(id string) int { return slices.IndexFunc(d.Rules, func(r descriptor) bool { return r.ID == id }) }
	results := []result{}
	add := func(f lint.Finding, suppressed ...suppression) {
		results = append(results, result{
			RuleID: f.Rule, RuleIndex: index(f.Rule), Level: f.Severity, Message: message{strings.TrimSpace(f.Message + ". " + sentence(f.Hint))},
			Locations: []location{{physicalAt(f.Place)}}, Suppressions: append([]suppression{}, suppressed...),
		})
	}
	if problems != nil {
		for _, p := range problems.List() {
			add(lint.Finding{Rule: "invalid-plan", Severity: lint.Error, Place: p.Position, Message: p.Summary, Hint: p.Hint})
		}
	}
	for _, f := range r.Findings {
		add(f)
	}
	for _, f := range r.Ignored {
		add(f.Finding, suppression{Kind: "inSource", Justification: f.Reason})
	}
	return json.NewEncoder(w).Encode(document{schema, "2.1.0", []run{{tool{d}, "unicodeCodePoints", results}}})
}

// sentence ends a text with a full stop, as messages of the standard do (3.11.2).
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return s + "."
}

// physicalAt returns a place; a relative address is below the root of the sources, for
// which %SRCROOT% stands.
func physicalAt(at source.Position) physical {
	p := physical{ArtifactLocation: addressOf(at.File)}
	if at.Line > 0 {
		p.Region = &region{at.Line, at.Column}
	}
	return p
}

func addressOf(file string) artifact {
	abs, err := filepath.Abs(file)
	if err != nil {
		abs = file
	}
	if here, err := filepath.Abs("."); err == nil {
		if rel, err := filepath.Rel(here, abs); err == nil && filepath.IsLocal(rel) {
			return artifact{(&url.URL{Path: filepath.ToSlash(rel)}).String(), "%SRCROOT%"}
		}
	}
	return artifact{URI: (&url.URL{Scheme: "file", Path: filepath.ToSlash(abs)}).String()}
}
