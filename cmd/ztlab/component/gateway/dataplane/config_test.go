package dataplane_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/dataplane"
)

func TestParseConfig(t *testing.T) {
	for _, c := range []struct {
		name, text string
		env        map[string]string
		want       dataplane.Config
	}{
		{
			name: "defaults",
			text: "nginx_config: {worker_processes: 1}",
			want: dataplane.Config{HTTPPort: 9080, AdminPort: 9180, StatusPort: 7085, HTTP2: true, Workers: 1},
		},
		{
			name: "everything",
			text: `
apisix:
  node_listen: [{port: 8080}]
  enable_http2: false
  enable_admin: false
  status: {port: 7086}
  ssl: {enable: true, listen: [{port: 8443}], fallback_sni: a.example}
nginx_config: {worker_processes: "4"}
deployment:
  role_traditional: {config_provider: etcd}
  admin:
    admin_key:
      - {name: admin, key: one, role: admin}
      - {name: viewer, key: two, role: viewer}
`,
			want: dataplane.Config{
				HTTPPort: 8080, TLSPort: 8443, StatusPort: 7086, Workers: 4, FallbackSNI: "a.example",
				Keys: []dataplane.Key{{Value: "one"}, {Value: "two", ReadOnly: true}},
			},
		},
		{
			name: "environment",
			text: "nginx_config: {worker_processes: 2}\ndeployment: {admin: {admin_listen: {port: 9181}, admin_key: [{key: '${{KEY}}', role: admin}, {key: '${{OTHER:=default}}', role: viewer}]}}",
			env:  map[string]string{"KEY": "secret"},
			want: dataplane.Config{
				HTTPPort: 9080, AdminPort: 9181, StatusPort: 7085, HTTP2: true, Workers: 2,
				Keys: []dataplane.Key{{Value: "secret"}, {Value: "default", ReadOnly: true}},
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := dataplane.ParseConfig([]byte(c.text), c.env)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("config (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseConfigAuto(t *testing.T) {
	got, err := dataplane.ParseConfig([]byte("nginx_config: {worker_processes: auto}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Workers < 4 || got.Workers > 8 {
		t.Errorf("workers = %d, want 4 to 8", got.Workers)
	}
}

func TestParseConfigErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"workers", "nginx_config: {worker_processes: many}", `worker_processes "many"`},
		{"no workers", "nginx_config: {worker_processes: 0}", `worker_processes "0"`},
		{"standalone", "deployment: {role_traditional: {config_provider: yaml}}", `config_provider "yaml"`},
		{"environment", "a: ${{NONE}}", "environment variable NONE is not set"},
		{"syntax", "apisix: [", "config.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := dataplane.ParseConfig([]byte(c.text), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one with %q", err, c.want)
			}
		})
	}
}
