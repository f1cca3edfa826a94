package lint

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/steps/hosting"
)

// plainKeys: unseal keys in the clear are for labs.
func plainKeys(f *facts) []Finding {
	var out []Finding
	for _, init := range f.inits {
		keys := init.spec.Keys
		if len(keys.Custodians) > 0 || keys.File.IsZero() && keys.Secret == nil {
			continue
		}
		what := "the unseal keys and the root token are kept together"
		if init.spec.RootToken == "revoke" {
			what = "the unseal keys are kept together"
		}
		out = append(out, at(init.step, "keys", "plain-keys", "", "%s, in the clear, in %s", what, keys))
	}
	return out
}

// oneShare: shares that are none.
func oneShare(f *facts) []Finding {
	var out []Finding
	for _, init := range f.inits {
		if init.spec.Threshold == 1 && !f.unsealsItself() {
			out = append(out, at(init.step, "threshold", "one-share", "", "one of %d shares opens Vault", init.spec.Shares))
		}
	}
	return out
}

// unsealsItself reports whether the values of the plan's Vault have a seal, which is in
// the text of its configuration.
func (f *facts) unsealsItself() bool {
	c, ok := f.release("vault")
	return ok && c.unsealsItself()
}

// unsealsItself reports whether the values of Vault's chart have a seal. A configuration
// that names an output, or a variable without a value, has no text yet: it is read as the
// plan has it.
func (c chart) unsealsItself() bool {
	written := c.step.Literal()
	for _, path := range []string{"server.standalone.config", "server.ha.config", "server.ha.raft.config"} {
		text, _ := hosting.Dig(written, append([]string{"values"}, strings.Split(path, ".")...)...).(string)
		if strings.Contains(c.text(path)+text, `seal "`) {
			return true
		}
	}
	return false
}

// sealedVault: a Vault that is waited for before it can be unsealed, or that nothing
// unseals after a restart.
func sealedVault(f *facts) []Finding {
	if len(f.inits) == 0 || f.unsealsItself() {
		return nil
	}
	var out []Finding
	if len(f.unseals) == 0 {
		out = append(out, at(f.inits[0].step, "", "no-unseal", "", "no step unseals Vault after a restart"))
	}
	const strategy = "server.updateStrategyType"
	if c, ok := f.release("vault"); ok && c.text(strategy) == "RollingUpdate" && c.spec.Wait {
		out = append(out, c.finding(strategy, "vault-waits-sealed", "", "the release waits for a ready pod, and step %s comes after it", f.inits[0].step.ID))
	}
	return out
}

// vaultPods returns how many pods the values ask of a chart of Vault or OpenBao.
func (c chart) vaultPods() int {
	enabled := func(path string) bool { return fmt.Sprint(c.value(path)) == "true" }
	if enabled("server.dev.enabled") || !enabled("server.ha.enabled") {
		return 1
	}
	n, err := strconv.Atoi(fmt.Sprint(c.value("server.ha.replicas")))
	if err != nil {
		return 3 // the default of the charts
	}
	return n
}

// sealedRestart: an upgrade that waits for pods which only a later step unseals.
func sealedRestart(f *facts) []Finding {
	var out []Finding
	for _, c := range f.charts {
		if c.name != "vault" && c.name != "openbao" || c.spec.OnDelete != "restart" || c.unsealsItself() {
			continue
		}
		if n := c.vaultPods(); n > 1 {
			out = append(out, at(c.step, "onDelete", "vault-restart-sealed", "", "the first of %d pods that is replaced comes back sealed, and the others stay as they are", n))
		}
	}
	return out
}

// plaintextListeners: servers of the plan that answer without TLS.
func plaintextListeners(f *facts) []Finding {
	var out []Finding
	if c, ok := f.release("vault"); ok && c.value("global.tlsDisable") != false {
		out = append(out, c.finding("global.tlsDisable", "plaintext-listener", "set global.tlsDisable: false, and give the listener a certificate (server.volumes, tls_cert_file)",
			"Vault listens on plain HTTP: tokens and unseal keys can be read on the way"))
	}
	if c, ok := f.release("apisix"); ok && c.value("service.http.enabled") != false && !f.redirects() {
		out = append(out, c.finding("service.http.enabled", "plaintext-listener", "set service.http.enabled: false, or redirect every route with plugin redirect, http_to_https: true",
			"the gateway serves its routes on plain HTTP as well"))
	}
	for _, o := range f.objects {
		if server := o.text("spec", "vault", "server"); o.isIssuer() && strings.HasPrefix(server, "http://") {
			out = append(out, o.finding("spec.vault.server", "plaintext-listener", "name an https:// address, and its authority in caBundleSecretRef",
				"%s %s sends its tokens to %s in the clear", o.kind, o.name, server))
		}
	}
	return out
}

// redirects reports whether the plan has routes, and each sends plain HTTP to HTTPS.
func (f *facts) redirects() bool {
	routes := 0
	for _, o := range f.objects {
		if o.kind != "ApisixRoute" {
			continue
		}
		rules, _ := hosting.Dig(o.fields, "spec", "http").([]any)
		for _, rule := range rules {
			m, _ := rule.(map[string]any)
			plugins, _ := m["plugins"].([]any)
			redirect := false
			for _, p := range plugins {
				plugin, _ := p.(map[string]any)
				redirect = redirect || plugin["name"] == "redirect" && plugin["enable"] != false && hosting.Dig(plugin, "config", "http_to_https") == true
			}
			if !redirect {
				return false
			}
			routes++
		}
	}
	return routes > 0
}

// namedIssuers: an authority must not change its identity with the name of the plan.
func namedIssuers(f *facts) []Finding {
	var out []Finding
	check := func(s *plan.Step, name, what string) {
		if name == "" && isKnown(s, "issuerName") {
			out = append(out, at(s, "", "issuer-name", "", "the %s is called %s-%s, by the plan's name", what, what, f.plan.Name))
		}
	}
	for _, r := range f.roots {
		check(r.step, r.spec.IssuerName, "root")
	}
	for _, i := range f.inter {
		check(i.step, i.spec.IssuerName, "intermediate")
	}
	return out
}

// storedCertificates: certificates that are replaced every few hours and kept for ever.
func storedCertificates(f *facts) []Finding {
	const short = 24 * time.Hour
	interval := make(map[string]time.Duration) // by the path that signs
	_, version := f.certManager()
	for _, o := range f.objects {
		r, ok := f.roleOf(o)
		t, bad := timesOf(o, version)
		if o.kind != "Certificate" || !ok || len(bad) > 0 {
			continue
		}
		lifetime, _ := f.lifetime(o, t)
		every := lifetime - t.renewBefore(lifetime)
		if known, ok := interval[r.path]; every > 0 && (!ok || every < known) {
			interval[r.path] = every
		}
	}
	var out []Finding
	for _, r := range f.signers() {
		every, known := interval[r.path]
		switch {
		case r.NoStore || r.Extra["no_store"] == true:
		case known && every <= short:
			out = append(out, at(r.step, r.field, "stored-certificates", "",
				"role %s signs a certificate every %s, and Vault keeps each of them", r.Name, engine.Duration(every)))
		case !known && r.MaxTTL > 0 && r.MaxTTL.Std() <= short:
			out = append(out, at(r.step, r.field, "stored-certificates", "",
				"role %s signs certificates of at most %s, and Vault keeps each of them", r.Name, r.MaxTTL))
		}
	}
	return out
}
