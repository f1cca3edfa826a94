package custody_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/hashicorp/vault/api"

	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

// BenchmarkWindow measures how long the keys are nowhere but in this process:
// from Vault's answer until they are encrypted, on disk (fsync of the file and of
// its directory) and read back. Its results are in package vaultinit.
func BenchmarkWindow(b *testing.B) {
	share := hex.EncodeToString(make([]byte, 33))
	clear := &api.InitResponse{Keys: slices.Repeat([]string{share}, 5), RootToken: "hvs.planted-root-token-123456"}
	for _, c := range []struct {
		name string
		keys func(testing.TB) (custody.Keys, *api.InitResponse)
	}{
		{"clear", func(testing.TB) (custody.Keys, *api.InitResponse) { return custody.Keys{}, clear }},
		{"age", func(t testing.TB) (custody.Keys, *api.InitResponse) {
			return ageKeys(func() string { r, _ := vaulttest.NewAge(t, "x"); return r }), clear
		}},
		{"age post-quantum", func(t testing.TB) (custody.Keys, *api.InitResponse) {
			return ageKeys(func() string {
				id, err := age.GenerateHybridIdentity()
				if err != nil {
					t.Fatal(err)
				}
				return id.Recipient().String()
			}), clear
		}},
		{"pgp", pgpKeys},
	} {
		b.Run(c.name, func(b *testing.B) {
			keys, said := c.keys(b)
			keys.File = file(filepath.Join(b.TempDir(), "keys.json")).File
			encryption, err := keys.Encryption()
			if err != nil {
				b.Fatal(err)
			}
			sink := keys.Sinks(vaulttest.Env(b))[0]
			var took []time.Duration
			size, err := encryption.Bound(5, 3)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				room, err := sink.Reserve(b.Context(), size)
				if err != nil {
					b.Fatal(err)
				}
				began := time.Now()
				a, err := encryption.Encrypt(said, 5, 3)
				if err == nil {
					err = room.Store(b.Context(), a)
				}
				room.Release(b.Context())
				took = append(took, time.Since(began))
				if err != nil {
					b.Fatal(err)
				}
				if err := os.Remove(keys.File.Path); err != nil {
					b.Fatal(err)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "max-ms")
		})
	}
}

func ageKeys(recipient func() string) custody.Keys {
	keys := custody.Keys{RootToken: &unsealkeys.Readers{Age: []string{recipient()}}}
	for i := range 5 {
		keys.Custodians = append(keys.Custodians, unsealkeys.Custodian{Name: fmt.Sprint("custodian ", i), Age: recipient()})
	}
	return keys
}

// pgpKeys returns keys and an answer that is encrypted to them already.
func pgpKeys(t testing.TB) (custody.Keys, *api.InitResponse) {
	var keys custody.Keys
	said := &api.InitResponse{}
	for i := range 6 {
		key, public := vaulttest.NewPGP(t, fmt.Sprint("custodian", i), nil)
		message := vaulttest.SealPGP(t, key, hex.EncodeToString(make([]byte, 33)))
		if i == 5 {
			keys.RootToken, said.RootToken = &unsealkeys.Readers{PGP: public}, message
			break
		}
		keys.Custodians = append(keys.Custodians, unsealkeys.Custodian{Name: fmt.Sprint("custodian ", i), PGP: public})
		said.Keys = append(said.Keys, message)
	}
	return keys, said
}
