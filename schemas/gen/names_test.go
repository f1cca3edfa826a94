package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// A reader of the reference does not know names of Go.
func TestNamesOfGo(t *testing.T) {
	for text, want := range map[string]string{
		"CreateNamespace makes it.":                 "createNamespace makes it.",
		"ServiceAccount that logs in.":              "ServiceAccount that logs in.",
		"Name of the Service.":                      "Name of the Service.",
		"CAFile is a PEM file beside the KeyFile.":  "caFile is a PEM file beside the KeyFile.",
		"URLs where the CRDs of a StatefulSet are.": "URLs where the CRDs of a StatefulSet are.",
	} {
		word, _, _ := strings.Cut(text, " ")
		key := map[string]string{"CreateNamespace": "createNamespace", "CAFile": "caFile", "ServiceAccount": "serviceAccount", "Name": "name", "URLs": "urls"}[word]
		if got := withKey(text, word, key); got != want {
			t.Errorf("%s is %s", text, got)
		}
		var s source
		s.readable(want, "field %s", key)
		if err := errors.Join(s.problems...); (err != nil) != strings.Contains(want, "KeyFile") {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// Comments of records name the fields as they are in JSON.
func TestRecordsNameFieldsOfJSON(t *testing.T) {
	type record struct {
		TLS       string `json:"tls"`
		StillAway string `json:"stillAway"`
		Ended     string `json:"ended"`
	}
	if got := inJSON("Ended is the end, StillAway a time. Not with TLS 1.3, not Endedness.", reflect.TypeFor[record]()); got !=
		"ended is the end, stillAway a time. Not with TLS 1.3, not Endedness." {
		t.Error(got)
	}
}
