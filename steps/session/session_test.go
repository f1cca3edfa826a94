package session_test

import (
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/session"
)

// An environment without settings is about the user's current cluster.
func TestNoSettings(t *testing.T) {
	s := session.Of(new(engine.Env))
	if s.Cluster != (session.Cluster{}) || s.Mirrored("https://a.example") != "https://a.example" {
		t.Errorf("%+v", s)
	}
}

// Relative sinks move to the directory of sinks, absolute ones stay.
func TestSink(t *testing.T) {
	s := session.Settings{SinkDir: "/lab/secrets"}
	for file, want := range map[engine.File]string{
		{Name: "keys.json", Path: "/plan/keys.json"}: "/lab/secrets/keys.json",
		{Name: "/keys/a.json", Path: "/keys/a.json"}: "/keys/a.json",
	} {
		if got := s.Sink(file); got != want {
			t.Errorf("%s at %s, want %s", file.Name, got, want)
		}
		if got := (session.Settings{}).Sink(file); got != file.Path {
			t.Errorf("without a directory %s at %s", file.Name, got)
		}
	}
}

func TestMirrored(t *testing.T) {
	env := engine.Env{Settings: session.Settings{Mirrors: []session.Mirror{
		{From: "https://a.example", To: "http://127.0.0.1:1/a/"},
		{From: "https://a.example/deep", To: "http://127.0.0.1:1/deep"},
	}}}
	for in, want := range map[string]string{
		"https://a.example":            "http://127.0.0.1:1/a",
		"https://a.example/x.tgz":      "http://127.0.0.1:1/a/x.tgz",
		"https://a.example/deep/x.tgz": "http://127.0.0.1:1/deep/x.tgz",
		"https://a.example.org/x":      "https://a.example.org/x",
		"https://b.example":            "https://b.example",
	} {
		if got := session.Of(&env).Mirrored(in); got != want {
			t.Errorf("%s from %s, want %s", in, got, want)
		}
	}
}
