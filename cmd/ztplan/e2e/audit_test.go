package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A recorder reads the lines added to an audit log since it was made.
type recorder struct {
	file  string
	begin os.FileInfo
}

func (w *world) recorder(file string) recorder {
	w.t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		w.t.Fatal(err)
	}
	return recorder{file, info}
}

func (r recorder) lines() ([][]byte, error) {
	f, err := os.Open(r.file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if now, err := f.Stat(); err != nil || !os.SameFile(now, r.begin) {
		return nil, fmt.Errorf("%s is another file by now: there were more requests than it may hold (%v)", r.file, err)
	}
	from := max(r.begin.Size()-1, 0)
	text, err := io.ReadAll(io.NewSectionReader(f, from, math.MaxInt64-from))
	// Others write all the time: the first line may have begun before, and the last one
	// may be half there.
	if r.begin.Size() > 0 {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	return slices.Collect(bytes.Lines(text)), err
}

// An apiRequest is one line of the API server's audit log.
type apiRequest struct {
	Verb       string `json:"verb"`
	RequestURI string `json:"requestURI"`
	UserAgent  string `json:"userAgent"`
	Stage      string `json:"stage"`
	ObjectRef  struct {
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		APIGroup    string `json:"apiGroup"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

// mutating reports whether the request could have changed something. It is
// written apart from the guard in ztplan that it tests, and knows no more than
// the documented exceptions: dry runs of the server, reviews of access and of who
// one is, port-forwards, and a token for the one ServiceAccount that the plan logs in
// with, of which the server keeps nothing.
func (r apiRequest) mutating() bool {
	switch r.Verb {
	case "get", "list", "watch":
		return false
	}
	if u, err := url.Parse(r.RequestURI); err == nil && u.Query().Get("dryRun") == "All" {
		return false
	}
	if r.ObjectRef.Resource == "selfsubjectreviews" || r.ObjectRef.APIGroup == "authorization.k8s.io" && strings.HasSuffix(r.ObjectRef.Resource, "accessreviews") {
		return false
	}
	return r.ObjectRef.Subresource != "portforward" && !r.forLogin()
}

// forLogin reports whether the request asks for a token to log in with.
func (r apiRequest) forLogin() bool {
	o := r.ObjectRef
	return r.Verb == "create" && o.Resource == "serviceaccounts" && o.Subresource == "token" && o.Namespace == "vault" && o.Name == "ztplan"
}

// A traffic is a count of ztplan's requests while it was recorded.
type traffic struct {
	api, vault int      // requests
	tokens     int      // of the ServiceAccount that logs in
	logins     int      // of the plan itself
	writes     []string // those that could have changed something
}

// record returns ztplan's requests to the API server and Vault during f. Vault's
// device knows no user agent: every request counts but those of cert-manager, whose
// own login it is known by. A login is known by the answer: one of the plan counts as
// a write unless its token is one that Vault does not store.
func (w *world) record(vaultLog string, f func()) traffic {
	w.t.Helper()
	var got traffic
	apiLog := w.recorder(w.status.Audit)
	var device recorder
	if vaultLog != "" {
		device = w.recorder(vaultLog)
	}
	f()
	lines, err := apiLog.lines()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, line := range lines {
		var r apiRequest
		if err := json.Unmarshal(line, &r); err != nil {
			w.t.Fatalf("%s: %v", w.status.Audit, err)
		}
		if r.UserAgent != "ztplan" || r.Stage == "ResponseStarted" {
			continue
		}
		got.api++
		if r.forLogin() {
			got.tokens++
		}
		if r.mutating() {
			got.writes = append(got.writes, fmt.Sprintf("api: %s %s: %d", r.Verb, r.RequestURI, r.ResponseStatus.Code))
		}
	}
	if vaultLog == "" {
		return got
	}
	if lines, err = device.lines(); err != nil {
		w.t.Fatal(err)
	}
	for _, line := range lines {
		var r struct {
			Type string `json:"type"`
			Auth struct {
				DisplayName string `json:"display_name"`
				TokenType   string `json:"token_type"`
			} `json:"auth"`
			Request struct {
				Operation string `json:"operation"`
				Path      string `json:"path"`
			} `json:"request"`
		}
		if err := json.Unmarshal(line, &r); err != nil {
			w.t.Fatalf("%s: %v", vaultLog, err)
		}
		if r.Type == "response" && r.Request.Path == "auth/kubernetes/login" && r.Auth.DisplayName == planLogin {
			got.logins++
			if r.Auth.TokenType != "batch" {
				got.writes = append(got.writes, "vault: a login with a token of type "+r.Auth.TokenType)
			}
		}
		if r.Type != "request" || strings.HasPrefix(r.Auth.DisplayName, "kubernetes-cert-manager-") || strings.HasPrefix(r.Request.Path, "auth/") && strings.HasSuffix(r.Request.Path, "/login") {
			continue
		}
		got.vault++
		switch r.Request.Operation {
		case "read", "list", "help":
		default:
			got.writes = append(got.writes, fmt.Sprintf("vault: %s %s", r.Request.Operation, r.Request.Path))
		}
	}
	return got
}

// auditVault makes Vault record every request and returns the file.
func (w *world) auditVault() string {
	w.t.Helper()
	w.write("sys/audit/e2e", fields{"type": "file", "options": map[string]string{"file_path": "/vault/data/e2e-audit.log"}})
	var found string
	err := filepath.WalkDir(filepath.Join(w.dir, "volumes"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "e2e-audit.log" {
			found = path
			return fs.SkipAll
		}
		return nil
	})
	if err != nil || found == "" {
		w.t.Fatalf("vault's audit device has no file below %s (%v)", w.dir, err)
	}
	return found
}
