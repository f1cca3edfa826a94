package record_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ztplan/ztplan/cmd/ztplan/fleet/record"
)

// A kubelet cuts a termination message: a verdict fits, whatever its texts are.
func TestVerdictFits(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("x", 100_000), strings.Repeat("ü\n\"\\", 30_000), strings.Repeat("\x00", 9000)} {
		v := record.Verdict{Schema: record.VerdictSchema, Run: "r", Cluster: strings.Repeat("c", 63), Exit: 1, Cause: text, Hint: text, Place: text,
			Evidence: strings.Repeat("0", 64), Rotation: &record.Rotation{Step: "rotation", Switch: 1.5}}
		data := v.Encode()
		if len(data) > record.MaxVerdict || !utf8.Valid(data) {
			t.Errorf("%d bytes", len(data))
		}
		back := record.ParseVerdict(string(data))
		if back == nil || back.Cluster != v.Cluster || back.Exit != 1 || back.Evidence != v.Evidence || back.Rotation == nil {
			t.Errorf("read back: %+v", back)
		}
		if text == "short" && (back.Cause != text || back.Hint != text) {
			t.Errorf("cut without need: %+v", back)
		}
	}
}

// A message that is no verdict is a crash: the end of a log, another program's
// message.
func TestNoVerdict(t *testing.T) {
	for _, message := range []string{"", "panic: runtime error", "{}", `{"schema":"ztplan.dev/fleet-verdict/v2","exit":0}`, `{"schema":`} {
		if v := record.ParseVerdict(message); v != nil {
			t.Errorf("%q is read as %+v", message, v)
		}
	}
}
