package pkiintermediate

import (
	"fmt"
	"slices"
	"strings"
)

// Names of key usages that Vault knows, compared without regard to case. It
// drops others without a word, and the certificates lack the usage.
var (
	// hashicorp/vault:builtin/logical/pki/parsing/certificate.go, ParseKeyUsages
	keyUsages = []string{
		"DigitalSignature", "ContentCommitment", "KeyEncipherment", "DataEncipherment", "KeyAgreement",
		"CertSign", "CRLSign", "EncipherOnly", "DecipherOnly",
	}
	// hashicorp/vault:builtin/logical/pki/issuing/roles.go
	extKeyUsages = []string{
		"Any", "ServerAuth", "ClientAuth", "CodeSigning", "EmailProtection", "IPSECEndSystem", "IPSECTunnel", "IPSECUser",
		"TimeStamping", "OCSPSigning", "MicrosoftServerGatedCrypto", "NetscapeServerGatedCrypto",
		"MicrosoftCommercialCodeSigning", "MicrosoftKernelCodeSigning",
	}
)

// checkUsages returns an error that names the usages which Vault does not know.
func checkUsages(given map[string]any) error {
	for _, f := range []struct {
		name, more string
		known      []string
	}{
		{"key_usage", "", keyUsages},
		{"ext_key_usage", "; object identifiers belong into ext_key_usage_oids", extKeyUsages},
	} {
		var unknown []string
		list, _ := given[f.name].([]string)
		for _, usage := range list {
			if usage != "" && !slices.ContainsFunc(f.known, func(k string) bool { return strings.EqualFold(k, usage) }) {
				unknown = append(unknown, usage)
			}
		}
		if len(unknown) > 0 {
			return fmt.Errorf("%s: Vault knows no usage %s and would leave it out: it knows %s%s",
				f.name, strings.Join(unknown, ", "), strings.Join(f.known, ", "), f.more)
		}
	}
	return nil
}
