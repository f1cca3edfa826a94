package main

import "testing"

// The generated files are up to date; if not, run make gen.
func TestGenerated(t *testing.T) {
	stale, err := Generate("../..", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range stale {
		t.Errorf("%s is stale: run make gen", f)
	}
}
