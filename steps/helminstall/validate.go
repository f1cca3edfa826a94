package helminstall

import (
	"crypto/x509"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
	"github.com/ztplan/ztplan/steps/internal/helmkit"
	"github.com/ztplan/ztplan/steps/internal/helmkit/chart"
	"github.com/ztplan/ztplan/steps/internal/helmkit/values"
)

// Validate implements engine.Validator.
func (s *Spec) Validate(p *engine.Problems) {
	s.validateSource(p)
	if err := chart.CheckVersion(s.Version); err != nil && !(s.Version == "" && s.source().IsPath()) {
		p.Add("version", "%v", err)
	}
	if s.Release != "" {
		if err := helmkit.CheckReleaseName(s.Release); err != nil {
			p.Add("release", "%q is not the name of a release: lower-case letters, digits, - and ., at most 53", s.Release)
		}
	}
	if s.Namespace != "" && !namespaceName.MatchString(s.Namespace) {
		p.Add("namespace", "%q is not the name of a namespace: lower-case letters, digits and -, at most 63", s.Namespace)
	}
	if (s.Username == "") != s.Password.IsZero() {
		if s.Username == "" {
			p.Add("username", "password is of no use without username")
		} else {
			p.Add("password", "username is of no use without password")
		}
	}
	if text, err := s.CAFile.Read(); !s.CAFile.IsZero() && err == nil && len(text) > 0 { // otherwise the engine reports it
		if err := certs.AddTo(x509.NewCertPool(), string(text)); err != nil {
			p.Add("caFile", "%s: %v", s.CAFile.Name, err)
		}
	}
	if _, err := values.Read(nil, s.Values); err != nil {
		p.Add("values", "%v", err)
	}
	for _, f := range s.ValuesFiles {
		if _, err := f.Read(); err != nil {
			continue // check:"exists" reports it
		}
		if _, err := values.Read([]engine.File{f}, nil); err != nil {
			p.Add("valuesFiles", "%v", err)
		}
	}
}

var namespaceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func (s *Spec) validateSource(p *engine.Problems) {
	if s.Repo == "" && s.Chart == "" {
		p.AddProblem(engine.Problem{
			Field:   "chart",
			Message: "a chart is required",
			Hint:    "repo: https://charts.example.com and chart: NAME, or chart: ./path",
		})
		return
	}
	if s.Repo != "" {
		s.validateRepo(p)
		return
	}
	if strings.HasPrefix(s.Chart, "oci://") {
		return
	}
	if u, err := url.Parse(s.Chart); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		p.AddProblem(engine.Problem{
			Field:   "chart",
			Message: "chart is an address: only oci:// addresses name a chart",
			Hint:    "repo: is the address of the repository, and chart: the name in it",
		})
		return
	}
	path := s.Chart
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.Dir, path)
	}
	if _, err := os.Stat(path); err != nil {
		p.AddProblem(engine.Problem{
			Field:   "chart",
			Message: "without repo, chart is a path, and there is nothing at " + s.Chart,
			Hint:    "write repo: for a chart in a repository",
		})
	}
}

func (s *Spec) validateRepo(p *engine.Problems) {
	u, err := url.Parse(s.Repo)
	switch {
	case err != nil || u.Host == "":
		p.AddProblem(engine.Problem{
			Field:   "repo",
			Message: "it must be the address of a chart repository",
			Hint:    "such as https://charts.jetstack.io or oci://quay.io/jetstack/charts",
		})
	case u.User != nil:
		p.Add("repo", "credentials do not belong into an address: use username and password")
	case u.Scheme == "oci":
		return // the chart's name may be part of it
	case u.Scheme == "http" && !engine.Loopback(u.Hostname()):
		p.Add("repo", "plain http lets anybody on the way change what is installed: use https")
	case u.Scheme != "https" && u.Scheme != "http":
		p.Add("repo", "%s:// is not supported: use https:// or oci://", u.Scheme)
	}
	if s.Chart == "" && (u == nil || u.Scheme != "oci") {
		p.Add("chart", "the name of the chart in the repository is required")
	}
}
