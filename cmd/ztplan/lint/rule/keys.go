package rule

import (
	"cmp"
	"slices"
	"strings"
)

// TLSSwitch reports whether a key of that name switches the verification of TLS off, and
// by which value: "true" or "false"; "" if it does not.
func TLSSwitch(key string) string {
	switch name := plain(key); {
	case strings.Contains(name, "insecure"), strings.Contains(name, "skipverify"), strings.Contains(name, "skiptlsverify"):
		return "true"
	case name == "verify", name == "tlsverify", name == "verifytls":
		return "false"
	}
	return ""
}

// ReviewerToken reports whether a key of that name holds the token by which Vault asks
// who a client is.
func ReviewerToken(key string) bool { return plain(key) == "tokenreviewerjwt" }

// Refused returns why no kind and no connection has a key, and the alternative among the
// known keys; "" for a key that is not left out on purpose. See [plan.Input.Refused].
func Refused(key string, known []string) string {
	id, fix := "", ""
	switch {
	case TLSSwitch(key) != "":
		id = "unverified-tls"
		trusts := slices.DeleteFunc([]string{"trust", "trustFile", "trustFrom", "caFile", "caBundle"}, func(k string) bool { return !slices.Contains(known, k) })
		if len(trusts) > 0 {
			fix = "remove it, and name the authority that is trusted with " + strings.Join(trusts, " or ")
		}
	case ReviewerToken(key):
		id = "reviewer-token"
	}
	r, ok := Find(id)
	if !ok {
		return ""
	}
	return "it is left out on purpose: " + r.Why + "; " + cmp.Or(fix, r.Fix) + " (ztplan lint --explain " + r.ID + ")"
}

// plain returns a name without the differences between the spellings of keys.
func plain(key string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(key))
}
