package unsealkeys_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
)

var said = &api.InitResponse{
	Keys:      []string{"00ff10", "01ff11", "02ff12"},
	KeysB64:   []string{"AP8Q", "Af8R", "Av8S"},
	RootToken: "hvs.planted-root",
}

// The form of "vault operator init -format=json", which people and scripts know.
func TestEncode(t *testing.T) {
	const want = `{
  "unseal_keys_b64": [
    "AP8Q",
    "Af8R",
    "Av8S"
  ],
  "unseal_keys_hex": [
    "00ff10",
    "01ff11",
    "02ff12"
  ],
  "unseal_shares": 3,
  "unseal_threshold": 2,
  "recovery_keys_b64": [],
  "recovery_keys_hex": [],
  "recovery_keys_shares": 0,
  "recovery_keys_threshold": 0,
  "root_token": "hvs.planted-root"
}
`
	if diff := cmp.Diff(want, string(unsealkeys.NewAnswer(said, 3, 2).Encode())); diff != "" {
		t.Error(diff)
	}
}

func TestDecode(t *testing.T) {
	apiShape, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	recovery := unsealkeys.NewAnswer(&api.InitResponse{RecoveryKeys: said.Keys, RootToken: said.RootToken}, 3, 2)
	for name, c := range map[string]struct {
		text         string
		recovery     bool
		n, threshold int
	}{
		"command line":      {string(unsealkeys.NewAnswer(said, 3, 2).Encode()), false, 3, 2},
		"api":               {string(apiShape), false, 0, 0},
		"base64 only":       {`{"unseal_keys_b64":["AP8Q","Af8R","Av8S"],"unseal_shares":3,"unseal_threshold":2,"root_token":"hvs.planted-root"}`, false, 3, 2},
		"auto-unseal":       {string(recovery.Encode()), true, 3, 2},
		"with unknown keys": {`{"keys":["00ff10","01ff11","02ff12"],"root_token":"hvs.planted-root","note":"mine"}`, false, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := unsealkeys.Decode([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if a.RootToken.Reveal() != said.RootToken || len(a.Shares) != 3 || a.Recovery != c.recovery || a.N != c.n || a.Threshold != c.threshold {
				t.Errorf("%d shares, %+v", len(a.Shares), a)
			}
		})
	}
	for name, text := range map[string]string{"empty": "", "cut": `{"keys":["00ff`, "other": `{"a":1}`, "list": `[]`} {
		t.Run(name, func(t *testing.T) {
			_, err := unsealkeys.Decode([]byte(text))
			if err == nil || strings.Contains(err.Error(), "00ff") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestDistinct(t *testing.T) {
	a, err := unsealkeys.Decode([]byte(`{"keys":["00ff10","AP8Q","00FF10","01ff11"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Distinct(); len(got) != 2 {
		t.Errorf("%d distinct shares, want 2", len(got))
	}
}
