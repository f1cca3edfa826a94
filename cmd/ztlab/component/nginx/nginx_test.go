package nginx_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztlab/component/nginx"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// start runs the stand-in and returns its URL.
func start(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	reports, ended := make(chan container.Report, 1), make(chan error, 1)
	go func() {
		ended <- nginx.Run(ctx, container.Spec{Image: "docker.io/library/nginx:stable"}, func(r container.Report) { reports <- r })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	select {
	case report := <-reports:
		if report.Ready == nil || !*report.Ready {
			t.Errorf("report = %+v, want ready", report)
		}
		return "http://" + report.Listen[80]
	case err := <-ended:
		t.Fatal(err)
		return ""
	}
}

func TestAnswers(t *testing.T) {
	url := start(t)
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/", 200, "<h1>Welcome to nginx!</h1>"},
		{"GET", "/index.html", 200, "Welcome to nginx!"},
		{"HEAD", "/", 200, ""},
		{"GET", "/missing", 404, "404 Not Found"},
		{"POST", "/", 405, "405 Method Not Allowed"},
	} {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), c.method, url+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != c.status || !strings.Contains(string(body), c.body) {
				t.Errorf("answer = %d %s", response.StatusCode, body)
			}
			if got, want := response.Header.Get("Content-Type"), "text/html"; got != want {
				t.Errorf("Content-Type = %q, want %q", got, want)
			}
			if got, want := response.Header.Get("Server"), "nginx-stand-in/stable (ztlab)"; got != want {
				t.Errorf("Server = %q, want %q", got, want)
			}
		})
	}
}

func TestNotModified(t *testing.T) {
	url := start(t)
	get := func(etag string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("If-None-Match", etag)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response
	}
	etag := get("").Header.Get("ETag")
	if got := get(etag).StatusCode; got != http.StatusNotModified {
		t.Errorf("status = %d, want 304", got)
	}
}
