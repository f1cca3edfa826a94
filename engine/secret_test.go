package engine_test

import (
	"bytes"
	"encoding/gob"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
)

// A value that is handed to another process holds no secret, unless its text is
// taken out on purpose.
func TestGobLeavesSecretsOut(t *testing.T) {
	type message struct {
		Name   string
		Secret engine.Secret
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(message{"shown", engine.NewSecret("CANARY")}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "CANARY") {
		t.Error("the secret is sent")
	}
	got := message{Secret: engine.NewSecret("before")}
	if err := gob.NewDecoder(&b).Decode(&got); err != nil || got.Name != "shown" || !got.Secret.IsZero() {
		t.Errorf("%s arrived with a secret of %d characters, %v", got.Name, len(got.Secret.Reveal()), err)
	}
}
