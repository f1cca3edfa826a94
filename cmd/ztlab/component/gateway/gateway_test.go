package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztlab/charts/charttest"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/dataplane"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/gatewaytest"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// configMap is the text that the lab's chart gives the container.
func configMap(t *testing.T, name, values string) []byte {
	t.Helper()
	for _, o := range charttest.MustRender(t, charttest.Find(t, "apisix", "2.14.0"), "apisix", "ingress-apisix", values) {
		if o.GetKind() == "ConfigMap" && o.GetName() == name {
			return []byte(o.Object["data"].(map[string]any)["config.yaml"].(string))
		}
	}
	t.Fatalf("no ConfigMap %s", name)
	return nil
}

// The chart's value sets the number of workers. The default is auto, as
// upstream's, and no fewer than the 4 with which the real one was tried.
func TestChartSaysHowManyWorkers(t *testing.T) {
	for value, want := range map[string]func(workers int) bool{
		"2":    func(workers int) bool { return workers == 2 },
		"4":    func(workers int) bool { return workers == 4 },
		"8":    func(workers int) bool { return workers == 8 },
		"auto": func(workers int) bool { return workers >= 4 },
		"":     func(workers int) bool { return workers >= 4 },
	} {
		values := "{}"
		if value != "" {
			values = "apisix: {nginx: {workerProcesses: " + value + "}}"
		}
		config, err := dataplane.ParseConfig(configMap(t, "apisix", values), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !want(config.Workers) {
			t.Errorf("workerProcesses %q makes %d workers", value, config.Workers)
		}
	}
}

// With the chart's own configuration the data plane serves the three ports that
// its Services lead to and the status port, is marked as a
// stand-in, and takes the chart's key.
func TestAPISIX(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	text := configMap(t, "apisix", "apisix: {ssl: {enabled: true}, nginx: {workerProcesses: 2}}")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	spec := container.Spec{
		Image:  "docker.io/apache/apisix:3.16.0-ubuntu",
		Mounts: map[string]string{"/usr/local/apisix/conf/config.yaml": config},
		Dir:    filepath.Join(dir, "scratch"),
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	reports, ended := make(chan container.Report, 8), make(chan error, 1)
	go func() { ended <- gateway.APISIX(ctx, spec, func(r container.Report) { reports <- r }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("APISIX: %v", err)
		}
	})
	listen := (<-reports).Listen
	for _, port := range []int{9080, 9443, 9180, 7085} {
		if listen[port] == "" {
			t.Errorf("container port %d is not served", port)
		}
	}
	get := func(url, key string) (*http.Response, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-API-KEY", key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response, string(body)
	}
	response, _ := get("http://"+listen[9080]+"/", "")
	if response.StatusCode != http.StatusNotFound || response.Header.Get("Server") != "APISIX-stand-in/3.16.0 (ztlab)" {
		t.Errorf("answer = %s, Server: %s", response.Status, response.Header.Get("Server"))
	}
	response, body := get("http://"+listen[9180]+"/apisix/admin/ssls", "edd1c9f034335f136f87ad84b625c8f1")
	var listed struct{ Total *int }
	if err := json.Unmarshal([]byte(body), &listed); err != nil || response.StatusCode != http.StatusOK || listed.Total == nil {
		t.Errorf("Admin API = %s %s", response.Status, body)
	}
	ready := <-reports
	if ready.Ready == nil || !*ready.Ready {
		t.Errorf("report = %+v, want ready", ready)
	}
}

// Without its ConfigMap a container does not start, as upstream's does not.
func TestMissingConfiguration(t *testing.T) {
	for name, run := range map[string]container.Component{"data plane": gateway.APISIX, "controller": gateway.IngressController} {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), container.Spec{Name: "c", Dir: t.TempDir()}, func(container.Report) {})
			if err == nil || !strings.Contains(err.Error(), "has nothing mounted there") {
				t.Errorf("error = %v", err)
			}
		})
	}
}

// A controller without an API server runs and reports why it is not ready.
func TestIngressControllerWithoutAPIServer(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string][]byte{
		"config.yaml": configMap(t, "apisix-ingress-config", "ingress-controller: {enabled: true}"),
		"token":       []byte("none"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spec := container.Spec{
		Image:     "apache/apisix-ingress-controller:2.0.1",
		Mounts:    map[string]string{"/app/conf/config.yaml": filepath.Join(dir, "config.yaml"), "/certs": dir},
		APIServer: "http://127.0.0.1:1",
		TokenFile: filepath.Join(dir, "token"),
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	reports, ended := make(chan container.Report, 8), make(chan error, 1)
	// Every watch that fails is a report, and there are more of them than are read here.
	go func() {
		ended <- gateway.IngressController(ctx, spec, func(r container.Report) {
			select {
			case reports <- r:
			default:
			}
		})
	}()
	listen := (<-reports).Listen
	for _, port := range []int{8080, 8081, 9443} {
		if listen[port] == "" {
			t.Errorf("container port %d is not served", port)
		}
	}
	report := <-reports
	if report.Ready == nil || *report.Ready || report.Message == "" {
		t.Errorf("report = %+v, want not ready, with a reason", report)
	}
	gatewaytest.Eventually(t, "readyz answering 503", func() bool {
		response, err := http.Get("http://" + listen[8081] + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusServiceUnavailable
	})
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("IngressController: %v", err)
	}
}
