package e2e

import "testing"

// restarts proves rotations on a finished world while its parts are restarted.
// The gateway's restart is with its bugs.
func (w *world) restarts(t *testing.T) {
	w.writeProof("ca.pem", w.rootCertificate())
	for part, more := range map[string]string{
		"cert-manager": "",
		"vault":        ", keys: {file: vault-cluster-keys.json}",
	} {
		w.sub(t, part, func(t *testing.T) {
			defer w.look() // what has been restarted has another address
			o := w.prove("maxSwitch: 30s, during: {restart: " + part + more + "}, ")
			must(t, "the proof", o, 0)
			t.Logf("%.1fs", o.wall.Seconds())
		})
	}
	if now := w.sealStatus(); now != "initialized true, sealed false, progress 0" {
		t.Errorf("vault is %s", now)
	}
}
