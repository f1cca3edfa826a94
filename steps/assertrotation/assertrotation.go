// Package assertrotation has a certificate renewed while the clients go on, and checks that
// the new one was issued as planned, reached the wire, and that no client noticed.
//
// It reads the cert-manager Certificate and its Secret, and opens a new
// verified TLS connection with one request to every address at a fixed rate,
// never waiting for earlier ones and never resuming a session. Once the wire
// shows the Secret's certificate, it asks for the renewal as `cmctl renew` does,
// or waits for one, and watches Certificate, CertificateRequests and Secret.
// It ends when every address shows only the new certificate and the doubt is
// small enough, when the issuance fails, or when the switch takes too long.
//
// The doubt is the chance that one of the servers behind an address still shows
// another certificate and was not met: a kernel gives each new connection to one
// of a gateway's workers at random, and one worker may be left behind for good
// (apache/apisix#13067). When the addresses have switched, bursts of new
// connections bring the doubt below probe.maxDoubt; each pod behind the Service
// is probed by itself where that is possible. Settling before the renewal follows
// the same rule. How the doubt is computed, and why interruptions count,
// is in README, "How sure a proof is"; `ztplan verify` computes it again.
//
// Watches deliver late, twice, or the last state alone. The milestones of a rotation
// (hops in the evidence) are therefore placed by cause, by the times in the objects
// (in whole seconds of the API server's clock, which is known from its answers) and
// by reads of the Secret that did not find the new certificate yet. The remaining
// uncertainty is stated, and the switch is judged by the longest time that it can
// have taken. `ztplan verify` computes it again.
//
// By itself it writes one thing, the Issuing condition in the Certificate's
// status (trigger renew): that needs update on certificates/status, besides get,
// list and watch on certificates, certificaterequests and the Secret.
// Deleting the Secret would re-issue too, and would be an outage. This change, and
// those of during and of trigger: intermediate, are edits of the run: in the dry
// run, in the digest and in the journal, behind the lock.
//
// With list on apisixtlses in all namespaces it also finds another ApisixTls that
// names the host of the URL with another Secret: then a restart of the gateway may
// change the certificate of the host, and the proof does not hold. With list on ingresses,
// ingressclasses and gateways it finds those of APISIX, too; those of other gateways are
// named while the wire is wrong. Kinds that may not be listed, or are not served, are not
// checked.
//
// With client the probes present a certificate (mTLS), and the server must ask for one in
// every handshake: a gateway that stops asking while it takes a certificate over would let
// anybody in. A client certificate from a Secret is presented anew as soon as the Secret
// changes, so that it may rotate during the proof; which ones were presented is part of
// the evidence.
//
// It refuses to begin when the wire does not show the Secret's certificate:
// then a rotation would prove nothing. Conditions prove nothing here: Ready and
// Accepted are written before a gateway has taken a certificate over.
//
// With during it also makes a disruption: it deletes the pods of Vault,
// cert-manager or the gateway, waits until they are gone and others are ready,
// unseals Vault if it is given the keys, and checks that the renewal was asked for
// while Vault or cert-manager was away, that the rotation catches up, and that
// clients noticed no more than the plan allows.
//
// With trigger: intermediate the authority changes, too. A new intermediate is
// made in Vault beside the old one, and both sign one request for a certificate, to
// prove that the certificates of either lead to the trusted root. Then the new one
// becomes the default issuer of its mount, and the certificate is renewed and
// measured. If it arrives as it should, the other Certificates of the plan
// follow, a number of them at a time; the new intermediate takes the old one's
// name, the old one may not sign certificates any more, and both get the same
// request again: only the new one may sign. If anything fails before
// that, the old one becomes the default again and the new one stays in its mount
// without a name; the next try goes on with it. A pkiIntermediate step of the same
// name finds nothing to do afterwards.
//
// The change of the authority is part of this proof and no step of its own: the
// measured renewal lies in the middle of it, and its result decides whether the
// change goes on or back. A step before the proof could not go back, and
// one after it would leave two authorities side by side when the proof fails.
package assertrotation

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/dynamic"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/evidence"
	"github.com/ztplan/ztplan/steps/internal/carollover"
	"github.com/ztplan/ztplan/steps/internal/certmanager"
	"github.com/ztplan/ztplan/steps/internal/certwatch"
	"github.com/ztplan/ztplan/steps/internal/disrupt"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/internal/probe"
	"github.com/ztplan/ztplan/steps/internal/tlskit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/login"
)

// Kind is the kind assertRotation.
var Kind = engine.NewProof("assertRotation", engine.Policy{
	Timeout:  10 * time.Minute,
	Attempts: 1,
	Delay:    time.Second,
	Backoff:  2,
	MaxDelay: 30 * time.Second,
}, func() *Spec {
	return &Spec{
		Vault:     login.Entrance{Server: vaultkit.DefaultServer()},
		Target:    tlskit.Target{Endpoints: tlskit.EndpointsAll},
		Trigger:   triggerRenew,
		Rotations: 1,
		Settle:    engine.Duration(time.Minute),
		MaxSwitch: engine.Duration(30 * time.Second),
		MaxLate:   engine.Duration(time.Minute),
		Probe: Probe{
			Rate:           20,
			ConsecutiveNew: 12,
			MaxDoubt:       0.001,
			HTTP:           "auto",
			LongLived:      true,
			Timeout:        engine.Duration(5 * time.Second),
		},
	}
})

// The values of Spec.Trigger.
const (
	triggerRenew        = "renew"
	triggerWait         = "wait"
	triggerIntermediate = "intermediate"
)

// mostOpen bounds the connections to one address that can be open at once, so
// that a server that hangs does not use up the files of this process.
const mostOpen = 10000

// Spec holds the inputs.
type Spec struct {
	// Certificate is the cert-manager Certificate that is renewed.
	Certificate certwatch.Ref `yaml:"certificate" check:"required"`

	// URL is requested by the probes, such as https://hello.example.local/.
	// Its host is the server name (SNI), the Host header and the name that the
	// certificate must have.
	URL string `yaml:"url" check:"required"`

	tlskit.Target      `yaml:",inline"`
	tlskit.TrustInput  `yaml:",inline"`
	tlskit.ClientInput `yaml:",inline"`

	// Trigger begins a rotation: renew asks cert-manager for it as
	// `cmctl renew` does; wait waits until cert-manager renews by itself,
	// which the step's timeout must allow for; intermediate makes a new
	// intermediate authority, has the certificate renewed under it, and retires
	// the old one.
	Trigger string `yaml:"trigger" check:"oneof=renew|wait|intermediate"`

	// Intermediate is the authority that is replaced, with trigger: intermediate.
	Intermediate *carollover.Spec `yaml:"intermediate"`

	// Rotations is how many rotations are asserted, one after another. A
	// second one finds watchers that die at the first.
	Rotations int `yaml:"rotations" check:"min=1,max=1000"`

	// Idle is the pause between two rotations, while the probes go on. A long gap finds watches
	// that die when nothing happens. The step's timeout must allow for it. Default: none.
	Idle engine.Duration `yaml:"idle" check:"min=0s"`

	// Jitter is the longest random pause before each rotation, so that renewals
	// do not keep time with anything that happens regularly. Default: none.
	Jitter engine.Duration `yaml:"jitter" check:"min=0s"`

	// NewKey is whether the private key must change. By default it must if
	// the Certificate's privateKey.rotationPolicy is Always or not set (the
	// default since cert-manager v1.18), and must not if it is Never.
	NewKey *bool `yaml:"newKey"`

	// Settle is how long, before the renewal, the wire may take to show the
	// certificate of the Secret at every address.
	Settle engine.Duration `yaml:"settle" check:"min=1ms"`

	// MaxSwitch is how long the gateway may take from the moment the Secret is
	// written until every address shows only the new certificate. It counts from
	// the earliest moment at which the Secret can have been written: after the
	// last read that did not find the new certificate.
	MaxSwitch engine.Duration `yaml:"maxSwitch" check:"min=1ms"`

	// MaxLate is how long after that moment the run waits for a server that is
	// behind, when maxSwitch is over. The proof has failed by then: this separates a
	// server that is late from one that never takes the certificate. APISIX notices a
	// lost event when its watch on etcd times out, by default after 50s.
	MaxLate engine.Duration `yaml:"maxLate" check:"min=0s"`

	// MaxFailures is how many probes may fail while a rotation is measured.
	MaxFailures int `yaml:"maxFailures" check:"min=0"`

	// MaxGap is the longest time that an address may be without a successful
	// probe. It is not checked unless given.
	MaxGap engine.Duration `yaml:"maxGap" check:"min=0s"`

	// MaxLost is how many of the connections that were opened before may be
	// lost. A gateway that is restarted ends those that it has.
	MaxLost int `yaml:"maxLost" check:"min=0"`

	// During is a disruption while the certificate rotates, in each rotation.
	// Default: none.
	During *disrupt.Spec `yaml:"during"`

	// Vault is the server that is unsealed after during.restart: vault, and the
	// login for trigger: intermediate. Usually given once, in the plan's
	// connections.
	Vault login.Entrance `yaml:"vault"`

	// Probe configures the measurement.
	Probe Probe `yaml:"probe"`
}

// Probe configures the measurement.
type Probe struct {
	// Rate is how many connections are opened per second to each address. A
	// probe costs about a millisecond of a processor, here and at the gateway
	// together, and about two when the certificate has an RSA key. Probes beyond the
	// capacity of either time out, and count as failures.
	Rate int `yaml:"rate" check:"min=1,max=5000"`

	// ConsecutiveNew is how many handshakes in a row must show the new
	// certificate at each address at least. maxDoubt usually asks for more of them.
	ConsecutiveNew int `yaml:"consecutiveNew" check:"min=1"`

	// Workers is how many processes of one replica accept connections, such as
	// worker_processes of APISIX, or how many servers are behind an address that
	// is not a Service's. Each must get new connections as often as the others.
	// Default: the number of processors of the replicas' nodes, if those can be
	// read, and at least 16.
	Workers int `yaml:"workers" check:"min=0,max=100000"`

	// MaxDoubt is the largest acceptable chance that one of these servers still
	// shows another certificate and was not met. When the certificate has arrived,
	// new connections are opened until the doubt is smaller, in all to workers ×
	// replicas of the Service; where the replicas can be reached through the API
	// server (create on pods/portforward), each is probed by itself instead.
	// With 16 servers 0.001 takes 118 handshakes in a row.
	MaxDoubt float64 `yaml:"maxDoubt"`

	// HTTP is the version to speak: "1.1", "2", or auto: every other connection
	// offers both and uses the server's preference, the others offer 1.1 alone.
	// A server that speaks only 2 needs "2".
	HTTP string `yaml:"http" check:"oneof=1.1|2|auto"`

	// Status is the status code that every answer must have. Without it any
	// status below 400 is right.
	Status int `yaml:"status" check:"min=0,max=599"`

	// LongLived is whether connections that were opened before must keep
	// answering, too: one of each HTTP version to each address. A gateway that
	// changes certificates by starting new workers may close them.
	LongLived bool `yaml:"longLived"`

	// Timeout is how long one probe may take, from the dialling to the end of
	// the answer. A slower one has failed.
	Timeout engine.Duration `yaml:"timeout" check:"min=1ms"`
}

// Outputs are the measurements, from before the first rotation to after the last.
type Outputs struct {
	// OldSerial is the serial number of the certificate before, as Vault writes it:
	// lower-case hexadecimal with colons.
	OldSerial string `yaml:"oldSerial"`
	// NewSerial is the serial number of the certificate after the rotation.
	NewSerial string `yaml:"newSerial"`

	// OldFingerprint is the SHA-256 of the certificate before, in lower-case
	// hexadecimal.
	OldFingerprint string `yaml:"oldFingerprint"`
	// NewFingerprint is the SHA-256 of the certificate after.
	NewFingerprint string `yaml:"newFingerprint"`

	// OldKey is the SHA-256 of the public key before (SubjectPublicKeyInfo),
	// in lower-case hexadecimal.
	OldKey string `yaml:"oldKey"`
	// NewKey is the SHA-256 of the public key after.
	NewKey string `yaml:"newKey"`

	// NotBefore is from when the new certificate is valid, as
	// 2026-01-18T16:59:40Z.
	NotBefore string `yaml:"notBefore"`
	// NotAfter is when the new certificate expires.
	NotAfter string `yaml:"notAfter"`

	// Certificate is the new certificate in PEM.
	Certificate string `yaml:"certificate"`

	// Intermediate is the certificate of the new intermediate in PEM, with
	// trigger: intermediate.
	Intermediate string `yaml:"intermediate"`

	// Revision is the Certificate's status.revision after the rotation.
	Revision int `yaml:"revision"`

	// Rotations is how many rotations were completed.
	Rotations int `yaml:"rotations"`

	// Attempts is how many probes ended while rotations were measured.
	Attempts int `yaml:"attempts"`

	// Failures is how many of them failed.
	Failures int `yaml:"failures"`

	// Doubt is the largest chance, of all rotations, that a server which still
	// shows another certificate was not met: 0.001 is 0.1 %.
	Doubt float64 `yaml:"doubt"`

	// SwitchMilliseconds is the longest time that a switch can have taken, from
	// the Secret being written until every address showed only the new
	// certificate.
	SwitchMilliseconds int `yaml:"switchMilliseconds"`

	// LongestGapMilliseconds is the longest time that an address was without a
	// successful probe.
	LongestGapMilliseconds int `yaml:"longestGapMilliseconds"`

	// Timeline lists when each milestone of the rotations was reached at the latest,
	// counted from the request for the renewal, and how much earlier it can have
	// been. None comes before its cause.
	Timeline []string `yaml:"timeline"`
}

// Validate checks the inputs against each other.
func (s *Spec) Validate(p *engine.Problems) {
	if s.URL != "" {
		if _, err := tlskit.ParseURL(s.URL); err != nil {
			p.Add("url", "url %q: %v", s.URL, err)
		}
	}
	s.Target.Validate(p)
	s.TrustInput.Validate(p)
	s.ClientInput.Validate(p)
	if s.Trigger == triggerWait && s.Idle > 0 {
		p.Add("idle", "with trigger: wait cert-manager alone decides when it renews")
	}
	if s.Trigger == triggerWait && s.Jitter > 0 {
		p.Add("jitter", "with trigger: wait cert-manager alone decides when it renews")
	}
	s.Vault.Validate(p, "vault")
	if s.During != nil {
		s.validateDuring(p)
	}
	s.validateIntermediate(p)
	if s.Rotations == 1 && s.Idle > 0 {
		p.Add("idle", "there is nothing between the rotations when there is only one")
	}
	if open := float64(s.Probe.Rate) * s.Probe.Timeout.Std().Seconds(); open > mostOpen {
		p.AddProblem(engine.Problem{
			Field:   "probe.rate",
			Message: fmt.Sprintf("%d probes a second that may take %s each can mean %.0f open connections; the limit is %d", s.Probe.Rate, s.Probe.Timeout, open, mostOpen),
			Hint:    "lower probe.timeout or probe.rate",
		})
	}
	if d := s.Probe.MaxDoubt; !(d > 0 && d <= 0.5) {
		p.AddProblem(engine.Problem{
			Field:   "probe.maxDoubt",
			Message: fmt.Sprintf("%g is not a probability above 0 and up to 0.5", d),
			Hint:    "0.001 is one chance in a thousand",
		})
	}
	if s.Probe.Status != 0 && s.Probe.Status < 100 {
		p.Add("probe.status", "status %d is not a status code", s.Probe.Status)
	}
}

// validateDuring checks the disruption against the other inputs.
func (s *Spec) validateDuring(p *engine.Problems) {
	s.During.Validate(p)
	if s.During.First() && s.Trigger == triggerWait {
		p.AddProblem(engine.Problem{
			Field:   "during.restart",
			Message: fmt.Sprintf("with trigger: wait it is not known when %s would have to be away", s.During.Restart),
			Hint:    "use trigger: renew",
		})
	}
	if s.During.Last() && s.Service != nil && s.Service.Via == tlskit.ViaTunnel && s.Endpoints == tlskit.EndpointsAll {
		p.AddProblem(engine.Problem{
			Field:   "during.restart",
			Message: "the probes would go to each of the gateway's pods, and those are deleted",
			Hint:    "use service.via: nodePort, or endpoints: first",
		})
	}
	if s.Intermediate != nil {
		p.AddProblem(engine.Problem{
			Field:   "during",
			Message: "goes with trigger: renew and wait only",
			Hint:    "give the fault a step of its own",
		})
	}
}

// validateIntermediate checks the intermediate against the other inputs.
func (s *Spec) validateIntermediate(p *engine.Problems) {
	switch {
	case s.Intermediate == nil && s.Trigger == triggerIntermediate:
		p.AddProblem(engine.Problem{
			Field:   "intermediate",
			Message: "is missing: trigger: intermediate needs to know which one is replaced",
			Hint:    "give mount, issuerName, parent and role as in the pkiIntermediate step",
		})
	case s.Intermediate != nil && s.Trigger != triggerIntermediate:
		p.AddProblem(engine.Problem{
			Field:   "intermediate",
			Message: fmt.Sprintf("has no use with trigger: %s", s.Trigger),
			Hint:    "set trigger: intermediate, or leave it out",
		})
	}
	if s.Intermediate != nil {
		s.Intermediate.Validate(p, s.Certificate, s.Vault.Login != nil)
	}
}

// Intent describes the actions of Prove.
func (s *Spec) Intent() []string {
	name := s.URL
	if u, err := tlskit.ParseURL(s.URL); err == nil {
		name = u.String()
	}
	lines := []string{
		fmt.Sprintf("ask for %s with %d new verified TLS connections a second to %s", name, s.Probe.Rate, s.Where()),
	}
	if s.Client != nil {
		lines = append(lines, "present "+s.Client.String()+", the newest one in each handshake")
	}
	times := ""
	if s.Rotations > 1 {
		times = fmt.Sprintf(", %d times", s.Rotations)
		if s.Idle > 0 {
			times += fmt.Sprintf(" with %s between them", s.Idle)
		}
	}
	if s.Jitter > 0 {
		times += fmt.Sprintf(", after a random pause of up to %s", s.Jitter)
	}
	if s.Intermediate != nil {
		lines = append(lines, s.Intermediate.Intent()...)
	}
	if s.Trigger == triggerWait {
		lines = append(lines, fmt.Sprintf("wait until cert-manager renews certificate %s%s", s.Certificate, times))
	} else {
		lines = append(lines, fmt.Sprintf("ask cert-manager to renew certificate %s (status condition Issuing)%s", s.Certificate, times))
	}
	failures := fmt.Sprintf("assert that at most %d probes fail", s.MaxFailures)
	switch {
	case s.Probe.LongLived && s.MaxLost > 0:
		failures += fmt.Sprintf(", and that at most %d connections opened before are lost", s.MaxLost)
	case s.Probe.LongLived:
		failures += ", and that connections opened before keep answering"
	}
	if s.During != nil {
		lines = append(lines, s.During.Intent()...)
	}
	return append(lines,
		fmt.Sprintf("assert that the new certificate is on the wire within %s at every address, and that a stale server would be seen with %s",
			s.MaxSwitch, evidence.Percent(1-s.Probe.MaxDoubt)),
		failures,
		"assert a new serial, a later notBefore, the key as the rotation policy says, a higher revision, and names, issuer and lifetime as planned",
	)
}

// Changes declares the edits of Prove.
func (s *Spec) Changes() []engine.Edit {
	var list []engine.Edit
	if s.During != nil {
		list = append(list, s.During.Changes()...)
	}
	if s.Trigger == triggerIntermediate && s.Intermediate != nil {
		list = append(list, s.Intermediate.Changes()...)
	}
	if s.Trigger != triggerWait {
		list = append(list, certwatch.Renewal(s.Certificate))
	}
	if s.Intermediate != nil {
		for _, ref := range s.Intermediate.Certificates {
			list = append(list, certwatch.Renewal(ref))
		}
	}
	return list
}

// Prove has the certificate renewed and measures.
func (s *Spec) Prove(ctx context.Context, env *engine.Env) (Outputs, []engine.Finding, error) {
	u, err := tlskit.ParseURL(s.URL)
	if err != nil {
		return Outputs{}, nil, engine.Permanent(fmt.Errorf("url %q: %w", s.URL, err))
	}
	trust, err := s.TrustInput.Load(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	credential, err := s.Client.Load(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return Outputs{}, nil, err
	}
	endpoints, err := s.Target.Resolve(ctx, env, u)
	if err != nil {
		return Outputs{}, nil, err
	}
	p := &proof{spec: s, env: env, url: u, trust: trust, endpoints: endpoints, clock: certwatch.NewClock(env.Now), backoff: certmanager.BackoffOf(ctx, env, cluster)}
	if credential != nil {
		p.identity = tlskit.NewIdentity(credential)
	}
	p.findServers = func(ctx context.Context) (probe.Servers, error) {
		return probe.LookUp(ctx, env, u, s.Target, s.Probe.Workers)
	}
	config := cluster.Config()
	config.Wrap(p.clock.Transport)
	if p.client, err = dynamic.NewForConfig(config); err != nil {
		return Outputs{}, nil, engine.Permanent(fmt.Errorf("kubeconfig: %w", err))
	}
	if s.During != nil && s.During.Keys != nil {
		p.unseal = disrupt.Unsealing(env, s.Vault.Server, s.During.Keys)
	}
	if s.Trigger == triggerIntermediate {
		p.lookVault = carollover.Look(env, s.Vault, s.Intermediate)
		// A refusal of Vault ends the proof before the certificate is renewed.
		if _, err := p.lookVault(ctx); err != nil {
			return Outputs{}, nil, err
		}
	}
	out, findings, err := p.run(ctx)
	if text, failed := s.Changed(ctx, env, trust); failed == nil && text != "" {
		env.Warnf("%s", text)
	}
	return out, findings, err
}

// ServerInTarget implements engine.ServerUser.
func (s *Spec) ServerInTarget() string { return s.Vault.InClusterIf(s.usesVault()) }

// ServerID implements engine.ServerUser.
func (s *Spec) ServerID() string { return s.Vault.ID() }
