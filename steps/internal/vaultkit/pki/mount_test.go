package pki_test

import (
	"crypto/x509"
	"math/big"
	"testing"

	"github.com/ztplan/ztplan/steps/internal/vaultkit/pki"
)

// An authority that was imported may have any serial number, a short one too.
func TestRetiredName(t *testing.T) {
	for serial, want := range map[int64]string{0: "int-00000000", 1: "int-00000001", 0x4ae72a: "int-004ae72a", 0x4ae72a0012: "int-4ae72a00"} {
		got := pki.RetiredName("int", &x509.Certificate{SerialNumber: big.NewInt(serial)})
		if got != want || !pki.Retired("int", got) {
			t.Errorf("serial %x: %q, want %q", serial, got, want)
		}
	}
}
