package engine_test

import (
	"testing"

	"github.com/ztplan/ztplan/engine"
)

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1": true, "127.8.0.1:80": true, "::1": true, "[::1]": true, "[::1]:80": true,
		"": false, "10.0.0.1": false, "10.0.0.1:80": false, "localhost.example.org": false, "example.org:80": false, "[fe80::1]:80": false,
	} {
		if got := engine.Loopback(host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
}
