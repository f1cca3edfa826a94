package e2e

import "testing"

// restarts proves rotations on a finished world while its parts are restarted.
func (w *world) restarts(t *testing.T) {
	w.writeProof("ca.pem", w.rootCertificate())
	for part, more := range map[string]string{
		"cert-manager": "",
		"vault":        ", keys: {file: vault-cluster-keys.json}",
	} {
		if part == "cert-manager" && !full() {
			continue // Vault is the one that has to be unsealed as well
		}
		w.sub(t, part, func(t *testing.T) {
			defer w.look() // a restarted component has another address
			o := w.prove("during: {restart: " + part + more + "}, ")
			must(t, "the proof", o, 0)
			t.Logf("%.1fs", o.wall.Seconds())
		})
	}
	// The old pod of the gateway goes on with its connections until its preStop
	// hook has ended, and then closes them.
	w.sub(t, "gateway", func(t *testing.T) {
		defer w.look()
		o := w.prove("during: {restart: gateway}, ")
		must(t, "the proof without maxLost", o, 1)
		// Between two requests or during one: that is the gateway's timing.
		expectViolation(t, o, `^connections opened before keep answering$`,
			`: the server has closed the connection since the last answer|: the connection was closed before the answer was complete|graceful shutdown GOAWAY`)
		must(t, "the proof with maxLost", w.prove("maxLost: 2, during: {restart: gateway}, "), 0)
	})
	if now := w.sealStatus(); now != "initialized true, sealed false, progress 0" {
		t.Errorf("vault is %s", now)
	}
}
