package chart

import (
	"strings"
	"testing"
)

func TestCheckVersion(t *testing.T) {
	for _, v := range []string{"1.2.3", "v1.21.2", "0.31.0", "1.0.0-rc.1", "1.2.3+build.5"} {
		if err := CheckVersion(v); err != nil {
			t.Errorf("%s: %v", v, err)
		}
	}
	for v, why := range map[string]string{
		"":          "required",
		"^1.2.3":    "range",
		"~1.2":      "range",
		">=1.0.0":   "range",
		"1.x":       "range",
		"*":         "range",
		"1.2 - 2.0": "range",
		"1.2":       "all three numbers",
		"latest":    "not an exact version",
	} {
		if err := CheckVersion(v); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: error %v, want one that says %q", v, err, why)
		}
	}
}

func TestSource(t *testing.T) {
	for _, c := range []struct {
		source    Source
		scheme    scheme
		name      string
		reference string
	}{
		{Source{Repo: "https://charts.example.com", Chart: "app"}, fromRepository, "app", ""},
		{Source{Repo: "oci://r.example.com/charts", Chart: "app"}, fromRegistry, "app", "oci://r.example.com/charts/app"},
		{Source{Repo: "oci://r.example.com/charts/app"}, fromRegistry, "app", "oci://r.example.com/charts/app"},
		{Source{Repo: "oci://r.example.com/charts/app/", Chart: "app"}, fromRegistry, "app", "oci://r.example.com/charts/app"},
		{Source{Chart: "oci://r.example.com/app/app"}, fromRegistry, "app", "oci://r.example.com/app/app"},
		{Source{Chart: "./charts/app"}, fromPath, "", ""},
	} {
		if got := c.source.scheme(); got != c.scheme {
			t.Errorf("%+v: scheme %d, want %d", c.source, got, c.scheme)
		}
		if got := c.source.Name(); got != c.name {
			t.Errorf("%+v: name %q, want %q", c.source, got, c.name)
		}
		if c.scheme != fromRegistry {
			continue
		}
		if got := c.source.reference(); got != c.reference {
			t.Errorf("%+v: reference %q, want %q", c.source, got, c.reference)
		}
	}
}

func TestNearestVersions(t *testing.T) {
	all := []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "2.0.0-rc.1", "junk"}
	for _, c := range []struct{ wanted, want string }{
		{"1.2.5", "1.4.0, 1.3.0, 1.2.0, 1.1.0, 1.0.0"},
		{"9.9.9", "1.4.0, 1.3.0, 1.2.0, 1.1.0, 1.0.0"},
		{"0.1.0", "1.4.0, 1.3.0, 1.2.0, 1.1.0, 1.0.0"},
		{"2.0.0-rc.2", "2.0.0-rc.1, 1.4.0, 1.3.0, 1.2.0, 1.1.0"},
	} {
		if got := nearestVersions(c.wanted, all); got != c.want {
			t.Errorf("%s: %s, want %s", c.wanted, got, c.want)
		}
	}
	many := []string{"1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.8.0"}
	if got, want := nearestVersions("1.4.1", many), "1.6.0, 1.5.0, 1.4.0, 1.3.0, 1.2.0"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := nearestVersions("1.0.0", nil); got != "" {
		t.Errorf("got %q of nothing", got)
	}
}
