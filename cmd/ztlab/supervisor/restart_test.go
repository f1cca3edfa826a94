package supervisor

import "testing"

func TestNotBack(t *testing.T) {
	listening := map[int]string{8200: "127.0.0.1:1"}
	old := Container{Namespace: "vault", Pod: "vault-0", Name: "vault", Component: "vault", PID: 7, Addresses: listening}
	with := func(change func(*Container)) []Container {
		c := old
		change(&c)
		return []Container{c}
	}
	tests := map[string]struct {
		now  []Container
		want string
	}{
		"back":              {with(func(c *Container) { c.PID = 8 }), ""},
		"old process":       {with(func(*Container) {}), "vault/vault-0/vault"},
		"no process":        {with(func(c *Container) { c.PID = 0 }), "vault/vault-0/vault"},
		"not listening yet": {with(func(c *Container) { c.PID, c.Addresses = 8, nil }), "vault/vault-0/vault"},
		"pod is gone":       {nil, ""},
		"pod was replaced":  {with(func(c *Container) { c.Pod, c.Addresses = "vault-1", nil }), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := notBack(selected([]Container{old}, "vault"), selected(tt.now, "vault"))
			if got != tt.want {
				t.Errorf("notBack = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestSelected(t *testing.T) {
	all := []Container{
		{Namespace: "vault", Pod: "vault-0", Name: "vault", Component: "vault"},
		{Namespace: "vault", Pod: "vault-0", Name: "sidecar", Simulated: true},
		{Namespace: "cm", Pod: "check", Name: "check", Component: "startupapicheck", Completed: true},
	}
	for name, want := range map[string]int{
		"vault": 1, "vault-0": 2, "vault/vault-0": 2, "vault/vault-0/sidecar": 1, "startupapicheck": 0, "nobody": 0,
	} {
		if got := len(selected(all, name)); got != want {
			t.Errorf("%q selects %d containers, want %d", name, got, want)
		}
	}
}
