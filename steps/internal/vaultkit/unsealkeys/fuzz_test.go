package unsealkeys_test

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

// FuzzDecode: reading any content of a sink ends with shares or with an error that
// quotes none of it; and the result is the same after it was written.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"unseal_keys_b64": ["AAEC"], "unseal_keys_hex": ["000102"], "unseal_shares": 1, "unseal_threshold": 1, "recovery_keys_b64": [], "root_token": "hvs.x"}`))
	f.Add([]byte(`{"keys": ["000102", "000103"], "keys_base64": ["AAEC", "AAED"], "root_token": "hvs.x"}`))
	f.Add([]byte(`{"recovery_keys_hex": ["00"], "recovery_keys_shares": 5, "recovery_keys_threshold": 3}`))
	f.Add([]byte(`{"keys": "hvs.secret-in-the-wrong-place"}`))
	f.Add([]byte(`null`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := unsealkeys.Decode(text)
		if err != nil {
			for word := range strings.FieldsSeq(string(text)) {
				if len(word) > 12 && strings.Contains(err.Error(), word) {
					t.Errorf("the error quotes what it read: %v", err)
				}
			}
			return
		}
		if len(a.Shares) == 0 || len(a.Distinct()) == 0 {
			t.Fatal("neither shares nor an error")
		}
		again, err := unsealkeys.Decode(a.Encode())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if got, want := forms(again), forms(a); got != want {
			t.Errorf("the shares were %s and are %s", want, got)
		}
		if !again.RootToken.Equal(a.RootToken) || again.N != a.N || again.Threshold != a.Threshold || again.Recovery != a.Recovery {
			t.Errorf("%+v was %+v", again, a)
		}
	})
}

// forms are the shares in hexadecimal, if they are bytes.
func forms(a *unsealkeys.Answer) string {
	var out []string
	for _, s := range a.Shares {
		text := s.Reveal()
		if raw, err := hex.DecodeString(text); err == nil {
			text = hex.EncodeToString(raw)
		} else if raw, err := base64.StdEncoding.DecodeString(text); err == nil {
			text = hex.EncodeToString(raw)
		}
		out = append(out, text)
	}
	return strings.Join(out, " ")
}
