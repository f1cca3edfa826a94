package node

import (
	"strings"
	"testing"
)

func TestComponentByImage(t *testing.T) {
	images, err := indexImages([]Image{
		{Repository: "hashicorp/vault", Component: "vault"},
		{Repository: "nginx", Component: "nginx"},
		{Repository: "quay.io/jetstack/cert-manager-controller", Component: "cert-manager"},
		{Repository: "*/ztplan", Component: "ztplan"},
	})
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{images: images}
	digest := "@sha256:" + strings.Repeat("0", 64)
	tests := map[string]string{
		"hashicorp/vault:1.20.4":             "vault",
		"docker.io/hashicorp/vault":          "vault",
		"index.docker.io/hashicorp/vault:1":  "vault",
		"registry.example/hashicorp/vault:1": "",
		"hashicorp/vault-k8s:1.7":            "",
		"nginx":                              "nginx",
		"library/nginx:stable":               "nginx",
		"docker.io/library/nginx" + digest:   "nginx",
		"other/nginx":                        "",
		"quay.io/jetstack/cert-manager-controller:v1.2" + digest: "cert-manager",
		"quay.io:443/jetstack/cert-manager-controller":           "",
		"ghcr.io/ztplan/ztplan:v1.2.3" + digest:                  "ztplan",
		"registry.example:5000/a/b/ztplan:1":                     "ztplan",
		"ztplan":                                                 "ztplan",
		"ghcr.io/ztplan/ztplan-docs":                             "",
		"ghcr.io/ztplan/ztlab":                                   "",
		"Not A Reference":                                        "",
		"":                                                       "",
	}
	for image, want := range tests {
		if got := a.component(image); got != want {
			t.Errorf("component(%q) = %q; want %q", image, got, want)
		}
	}
	for _, bad := range []Image{{Repository: "UPPER", Component: "x"}, {Repository: "nginx"}} {
		if _, err := indexImages([]Image{bad}); err == nil {
			t.Errorf("indexImages(%+v): no error", bad)
		}
	}
}

func TestAddressesAreReusedLate(t *testing.T) {
	var p ipPool
	first, second := p.take(""), p.take("")
	if first != "10.244.0.2" || second != "10.244.0.3" {
		t.Errorf("first addresses %s, %s; want 10.244.0.2, 10.244.0.3", first, second)
	}
	p.release(first)
	if got := p.take(""); got == first {
		t.Errorf("%s was handed out again at once", got)
	}
	if got := p.take(first); got != first {
		t.Errorf("take(%s) = %s; want the wanted address", first, got)
	}
	if got := p.take(first); got == first {
		t.Errorf("%s was handed out twice", got)
	}
	if got := p.take("192.0.2.7"); got == "192.0.2.7" {
		t.Error("an address outside the network was handed out")
	}
	for range 1<<16 - 7 {
		p.take("")
	}
	seen := map[string]bool{}
	for {
		got := p.take("")
		if got == "" {
			break
		}
		if seen[got] {
			t.Fatalf("%s was handed out twice", got)
		}
		seen[got] = true
	}
	p.release(second)
	if got := p.take(""); got != second {
		t.Errorf("the only free address is %s, take = %q", second, got)
	}
}
