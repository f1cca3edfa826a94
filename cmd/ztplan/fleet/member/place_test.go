package member

import "testing"

func TestPlace(t *testing.T) {
	m := &Member{paths: Paths{Work: "/work"}}
	for position, want := range map[string]string{"/work/plan/site.yaml:7:5": "site.yaml:7:5", "site.yaml:7:5": "site.yaml:7:5", "": ""} {
		if got := m.Place(position); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
