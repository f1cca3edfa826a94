package verify_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"crypto/sha256"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/evidence/verify"
)

// began is when the run of the fixture began. Everything in it is made anew by
// every test and is the same every time: Ed25519 signatures are.
var began = time.Date(2026, 1, 18, 17, 0, 0, 0, time.UTC)

func after(seconds float64) time.Time {
	return began.Add(time.Duration(seconds * float64(time.Second)))
}

// An authority signs certificates in tests.
type authority struct {
	cert *x509.Certificate
	key  ed25519.PrivateKey
}

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func issue(t *testing.T, parent *authority, name, keyName string, serial int64, from time.Time, life time.Duration) *authority {
	t.Helper()
	k := key(keyName)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: from.Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, DNSNames: []string{"*.example.local", "example.local"},
	}
	if strings.HasSuffix(name, "CA Lab") {
		template.DNSNames, template.IsCA, template.BasicConstraintsValid = nil, true, true
		template.KeyUsage = x509.KeyUsageCertSign
	}
	signer := &authority{template, k}
	if parent != nil {
		signer = parent
	}
	der, err := x509.CreateCertificate(nil, template, signer.cert, k.Public(), signer.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{c, k}
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

func (a *authority) record(chain ...*authority) evidence.Certificate {
	print, public := sha256.Sum256(a.cert.Raw), sha256.Sum256(a.cert.RawSubjectPublicKeyInfo)
	out := evidence.Certificate{
		PEM: a.pem(), Serial: a.cert.SerialNumber.Text(16), Fingerprint: hex.EncodeToString(print[:]),
		PublicKey: hex.EncodeToString(public[:]), NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
	}
	for _, c := range chain {
		out.Chain = append(out.Chain, c.pem())
	}
	return out
}

// A world has the authorities of the fixture's run.
type world struct {
	root, intermediate, old, new *authority
}

func newWorld(t *testing.T) *world {
	year := 365 * 24 * time.Hour
	w := &world{root: issue(t, nil, "Root CA Lab", "root", 1, began.Add(-time.Hour), 10*year)}
	w.intermediate = issue(t, w.root, "Intermediate CA Lab", "intermediate", 2, began.Add(-time.Hour), 5*year)
	w.old = issue(t, w.intermediate, "*.example.local", "old", 0x2241, began.Add(-5*time.Minute), time.Hour)
	w.new = issue(t, w.intermediate, "*.example.local", "new", 0x7c10, began.Add(3*time.Second), time.Hour)
	return w
}

// endpoint is an address that was asked every 50 ms from 0 to 4 s, that shows
// the new certificate from switched on, and has failures before that.
func endpoint(address string, switched float64, failures int) evidence.Endpoint {
	e := evidence.Endpoint{Address: address}
	last := -1.0
	for i := range 80 {
		at := float64(i) / 20
		s := evidence.Sample{At: at, Seconds: 0.004 + float64(i%7)/1000}
		if at >= switched {
			s.Cert = 1
		}
		if left := int((switched - at) * 20); left > 0 && left <= failures {
			s.Cert, s.Class = -1, "alert"
			if e.Failures == nil {
				e.Failures = map[string]int{}
			}
			e.Failures["alert"]++
		} else {
			if last >= 0 {
				e.LongestGapSeconds = max(e.LongestGapSeconds, at-last)
			}
			last = at
		}
		e.Attempts++
		e.Samples = append(e.Samples, s)
	}
	e.Protocols = map[string]int{"h2": e.Attempts / 2, "http/1.1": e.Attempts - e.Attempts/2}
	e.Latency = map[string]map[string]float64{
		"before": {"p50": 0.006, "p90": 0.009, "p99": 0.01, "max": 0.01},
		"during": {"p50": 0.006, "p90": 0.01, "p99": 0.01, "max": 0.01},
		"after":  {"p50": 0.006, "p90": 0.009, "p99": 0.01, "max": 0.01},
	}
	return e
}

func (w *world) rotation(failures int) evidence.Rotation {
	ends := []evidence.Endpoint{endpoint("127.0.0.1:30443", 2.5, 0), endpoint("127.0.0.2:30443", 2.6, failures)}
	gap := max(ends[0].LongestGapSeconds, ends[1].LongestGapSeconds)
	hops := []evidence.Hop{}
	for name, at := range map[string]float64{"fault": 3.4, "unsealed": 3.9, "restored": 4, "asked": 3.5, "issuing": 3.6, "requested": 3.7, "approved": 3.8, "signed": 4.1, "secret": 4.2, "first-on-wire": 5.5, "last-on-wire": 5.6, "caught-up": 5.7} {
		hops = append(hops, evidence.Hop{Name: name, At: after(at)})
	}
	for i := range hops { // in order of time
		for j := i; j > 0 && hops[j].At.Before(hops[j-1].At); j-- {
			hops[j], hops[j-1] = hops[j-1], hops[j]
		}
	}
	return evidence.Rotation{
		Namespace: "ingress-apisix", Name: "hello-cert", Number: 1, Trigger: "renew", KeyPolicy: "Always",
		Trust: []string{w.root.pem()}, Server: "hello.example.local",
		Certs: []evidence.Certificate{w.old.record(w.intermediate), w.new.record(w.intermediate)},
		Hops:  hops, Endpoints: ends,
		Rules: []evidence.Rule{
			{Name: "maxFailures", Limit: 0, Saw: failures, Holds: failures == 0},
			{Name: "maxGap", Limit: 2, Saw: gap, Holds: gap <= 2},
			{Name: "maxSwitch", Limit: 30, Saw: 1.4, Holds: true},
			{Name: "newKey", Limit: true, Saw: true, Holds: true},
			{Name: "restored", Limit: true, Saw: true, Holds: true},
			{Name: "maxDown", Limit: 120, Saw: 0.6, Holds: true},
			{Name: "maxCatchUp", Limit: 60, Saw: 1.7, Holds: true},
			{Name: "askedAway", Limit: true, Saw: true, Holds: true},
			{Name: "maxDoubt", Limit: 0.001, Saw: evidence.Doubt(2, 27, 0), Holds: true},
		},
		Workers: 2, WorkersFrom: evidence.WorkersFromPlan,
		Coverage: []evidence.Coverage{
			{Name: "127.0.0.1:30443", Endpoints: []string{"127.0.0.1:30443"}, Servers: 2, Row: 29, Handshakes: 30, Doubt: evidence.Doubt(2, 29, 0)},
			{Name: "127.0.0.2:30443", Endpoints: []string{"127.0.0.2:30443"}, Servers: 2, Row: 27, Handshakes: 28, Doubt: evidence.Doubt(2, 27, 0)},
		},
		Fault: evidence.Fault{
			Part: "vault", Pods: []string{"vault/vault-0"}, Began: after(3.4), Away: after(3.46), StillAway: after(3.51), Ended: after(4),
			Deletions: []evidence.Deletion{{Pod: "vault/vault-0", UID: "uid-1", Deleted: after(3.41), Gone: after(3.45)}},
		},
		Began: after(3), Ended: after(7),
	}
}

// events is a run: a chart, a root, a page, a rotation that has failures, and the
// events after it.
func (w *world) events(t *testing.T, failures int) []engine.Event {
	t.Helper()
	last := engine.ActionProved
	if failures > 0 {
		last = engine.ActionFail
	}
	digest := strings.Repeat("ab", 32)
	list := []engine.Event{
		{Action: engine.ActionPlan, Step: "vault", Kind: "helmInstall", Position: "plan.yaml:9:5"},
		{Action: engine.ActionPlan, Step: "root", Kind: "pkiRoot", Position: "plan.yaml:12:5", Needs: []string{"vault"}},
		{Action: engine.ActionPlan, Step: "app", Kind: "applyManifest", Position: "plan.yaml:19:5"},
		{Action: engine.ActionPlan, Step: "site", Kind: "curlTLS", Position: "plan.yaml:23:5", Needs: []string{"root", "app"}},
		{Action: engine.ActionPlan, Step: "rotation", Kind: "assertRotation", Position: "plan.yaml:30:5", Needs: []string{"site"}},
		{Action: engine.ActionPlan, Step: "denied", Kind: "assertDenied", Position: "plan.yaml:40:5", Needs: []string{"rotation"}},
		{Time: after(0.01), Action: engine.ActionStart, Step: "vault"},
		{Time: after(0.01), Action: engine.ActionStart, Step: "app"},
		{Time: after(0.1), Action: engine.ActionDiffers, Step: "vault", Path: "release/vault/vault", Want: map[string]any{"version": "0.31.0"}},
		{Time: after(0.1), Action: engine.ActionApply, Step: "vault", Path: "release/vault/vault", Attempt: 1},
		{Time: after(0.2), Action: engine.ActionUnchanged, Step: "app", Seconds: 0.19},
		{Time: after(0.5), Action: engine.ActionRetry, Step: "vault", Path: "release/vault/vault", Attempt: 1, Error: "connection refused"},
		{Time: after(0.6), Action: engine.ActionApply, Step: "vault", Path: "release/vault/vault", Attempt: 2},
		{Time: after(1), Action: engine.ActionApplied, Step: "vault", Path: "release/vault/vault", Attempt: 2, Seconds: 0.4},
		{Time: after(1), Action: engine.ActionEvidence, Step: "vault", Name: evidence.RecordChart, Data: evidence.Chart{Name: "vault", Version: "0.31.0", AppVersion: "1.20.4", Repository: "https://helm.releases.hashicorp.com", Digest: digest}},
		{Time: after(1.2), Action: engine.ActionWait, Step: "vault", Message: "StatefulSet/vault/vault (0 of 1 ready)"},
		{Time: after(1.5), Action: engine.ActionChanged, Step: "vault", Seconds: 1.49},
		{Time: after(1.5), Action: engine.ActionStart, Step: "root"},
		{Time: after(1.6), Action: engine.ActionDiffers, Step: "root", Path: "pki/issuer/root-lab", Want: map[string]any{"commonName": "Root CA Lab"}},
		{Time: after(1.6), Action: engine.ActionDiffers, Step: "root", Path: "pki/config/urls", Have: "none", Want: []any{"http://vault.vault.svc:8200/v1/pki/ca"}},
		{Time: after(1.7), Action: engine.ActionApplied, Step: "root", Path: "pki/issuer/root-lab", Attempt: 1, Seconds: 0.1},
		{Time: after(1.8), Action: engine.ActionApplied, Step: "root", Path: "pki/config/urls", Attempt: 1, Seconds: 0.05},
		{Time: after(1.9), Action: engine.ActionWarn, Step: "root", Message: "the root's key is in Vault, not in a hardware module"},
		{Time: after(2), Action: engine.ActionChanged, Step: "root", Seconds: 0.5},
		{Time: after(2), Action: engine.ActionStart, Step: "site"},
		{Time: after(2.5), Action: engine.ActionEvidence, Step: "site", Name: evidence.RecordHandshake, Data: evidence.Handshake{
			URL: "https://hello.example.local/", Address: "127.0.0.1:30443", TLS: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", Protocol: "h2", Status: 200,
			Trust: []string{w.root.pem()}, Certificate: w.old.record(w.intermediate), At: after(2.4),
			Rules: []evidence.Rule{{Name: "status", Limit: 200, Saw: 200, Holds: true}, {Name: "notSerial", Limit: "01:02", Saw: "22:41", Holds: true}},
		}},
		{Time: after(2.6), Action: engine.ActionFinding, Step: "site", Path: "status is 200", Have: 200, Want: 200},
		{Time: after(2.7), Action: engine.ActionProved, Step: "site", Seconds: 0.7},
		{Time: after(2.7), Action: engine.ActionStart, Step: "rotation"},
		{Time: after(7), Action: engine.ActionEvidence, Step: "rotation", Name: evidence.RecordRotation, Data: w.rotation(failures)},
		{Time: after(7), Action: engine.ActionFinding, Step: "rotation", Path: "the serial number is new", Have: "7c:10", Want: "another than 22:41"},
	}
	f := engine.Event{Time: after(7), Action: engine.ActionFinding, Step: "rotation", Path: "no probe fails", Have: failures, Want: 0}
	end := engine.Event{Time: after(7.1), Action: last, Step: "rotation", Seconds: 4.4}
	summary := engine.Summary{Result: engine.ResultProved, Proofs: 3, Unchanged: 1, Changed: 2, Proved: 3, Edits: 3, Retries: 1, WallSeconds: 7.5, CriticalSeconds: 7.39, CriticalPath: []string{"vault", "root", "site", "rotation", "denied"}}
	if failures > 0 {
		f.Action, f.Message = engine.ActionViolated, "127.0.0.2:30443: remote error: tls: internal error, 4 times"
		end.Error, end.Hint = "does not hold: no probe fails: saw 4", "the gateway closed its listener while it reloaded; see <its> log & \"restart\" policy"
		summary.Result = engine.ResultFailed
		summary.Proved, summary.Failed, summary.Skipped, summary.CriticalSeconds, summary.CriticalPath = 1, 1, 1, 7.09, []string{"vault", "root", "site", "rotation"}
	}
	list = append(list, f, end)
	if failures > 0 {
		list = append(list, engine.Event{Time: after(7.1), Action: engine.ActionSkip, Step: "denied", Needs: []string{"rotation"}, Message: "needs rotation, which failed"})
	} else {
		list = append(list,
			engine.Event{Time: after(7.1), Action: engine.ActionStart, Step: "denied"},
			engine.Event{Time: after(7.3), Action: engine.ActionEvidence, Step: "denied", Name: evidence.RecordDenial, Data: evidence.Denial{What: "a certificate for evil.example.org", Refused: true, By: "Vault", Answer: "common name evil.example.org not allowed by this role", At: after(7.2)}},
		)
		for _, d := range w.denials(t) {
			list = append(list, engine.Event{Time: after(7.3), Action: engine.ActionEvidence, Step: "denied", Name: evidence.RecordDenial, Data: d})
		}
		list = append(list,
			engine.Event{Time: after(7.3), Action: engine.ActionEvidence, Step: "denied", Name: "audit", Data: map[string]any{"lines": 3}},
			engine.Event{Time: after(7.3), Action: engine.ActionFinding, Step: "denied", Path: "a foreign name is refused"},
			engine.Event{Time: after(7.4), Action: engine.ActionProved, Step: "denied", Seconds: 0.3},
		)
	}
	list = append(list, engine.Event{Time: after(7.5), Action: engine.ActionEnd, Seconds: 7.5, Summary: &summary})
	kinds := map[string]string{}
	for i := range list {
		list[i].Plan = "demo"
		if list[i].Action == engine.ActionPlan {
			list[i].Time = began
			list[i].Proof = slices.Contains([]string{"site", "rotation", "denied"}, list[i].Step)
			kinds[list[i].Step] = list[i].Kind
		}
		list[i].Kind = kinds[list[i].Step]
	}
	return list
}

func subject() *evidence.Subject {
	return &evidence.Subject{
		Cluster: &evidence.Cluster{Server: "https://10.0.0.1:6443", UID: "6f1c2a4e-0b1d-4c1f-9d55-0d2f6f0f7a11", Version: "v1.36.3"},
		User:    "system:serviceaccount:ci:ztplan", Host: "runner-7",
		Job:       &evidence.Job{System: "GitHub Actions", Facts: map[string]string{"GITHUB_RUN_ID": "4711"}},
		Checkout:  &evidence.Checkout{Commit: strings.Repeat("12", 20), Changes: []string{" M values.yaml"}},
		Variables: map[string]any{"domain": "example.local"}, Secret: []string{"token"},
		Skip:    []string{"audit"},
		Mirrors: []evidence.Mirror{{From: "https://helm.releases.hashicorp.com", To: "https://mirror.example.local"}},
		Images:  []evidence.Image{{Namespace: "vault", Image: "hashicorp/vault:1.20.4", ID: "docker.io/hashicorp/vault@sha256:" + strings.Repeat("34", 32), Containers: 1}},
		Binary:  strings.Repeat("56", 32), Remarks: []string{"images in apisix: pods is forbidden"},
	}
}

func collect(t *testing.T, events []engine.Event) *evidence.Document {
	t.Helper()
	c := evidence.NewCollector(
		evidence.Plan{Name: "demo", File: "plan.yaml", Digest: strings.Repeat("cd", 32), Files: []evidence.FileDigest{{Name: "values.yaml", Digest: strings.Repeat("ef", 32)}}},
		evidence.Run{Mode: evidence.ModeApply, Remark: "embedded lab: the gateway and nginx are stand-ins", Version: "v0.1.0", Platform: "linux/amd64", Versions: map[string]string{"vault": "1.21.0"}},
	)
	for _, e := range events {
		c.Event(e)
	}
	c.About(subject())
	d, err := c.Document(false)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// verifyChanged verifies the run with another rotation on record and returns its
// faults, a line each.
func verifyChanged(t *testing.T, change func(*evidence.Rotation)) string {
	t.Helper()
	events := newWorld(t).events(t, 0)
	for i := range events {
		if r, ok := events[i].Data.(evidence.Rotation); ok {
			r.Coverage = slices.Clone(r.Coverage)
			change(&r)
			events[i].Data = r
		}
	}
	_, checks := verify.Evidence(encoded(t, collect(t, events)))
	return strings.Join(problems(checks), "\n")
}
