package assertrotation_test

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/assertrotation"
	"github.com/ztplan/ztplan/steps/evidence/verify"
	"github.com/ztplan/ztplan/steps/internal/disrupt"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
)

const (
	vaultPods   = "app.kubernetes.io/name=vault app.kubernetes.io/instance=vault component=server"
	managerPods = "app.kubernetes.io/instance=cert-manager app.kubernetes.io/component=controller"
	gatewayPods = "app.kubernetes.io/name=apisix app.kubernetes.io/instance=apisix"
)

func labelsOf(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == '=' })
}

func (w *world) addVault() *part {
	w.vault = w.newPart("vault", "vault", 1, labelsOf(vaultPods)...)
	w.vault.sealed = true
	return w.vault
}

func (w *world) addGateway() *part {
	p := w.newPart("ingress-apisix", "apisix", len(w.replicas), labelsOf(gatewayPods)...)
	p.changed = func(n int, up bool) {
		w.replicas[n].refuse.Store(!up)
		if !up {
			w.replicas[n].server.Drop()
		}
	}
	return p
}

var keyFile = custody.Keys{File: engine.File{Name: "keys.json", Path: "keys.json"}}

// addDrainingGateway is a gateway as upstream's chart makes it: the replacement
// starts at once and takes the new connections when it is ready; the old pod goes
// on for 30 seconds with those that it has, and then ends.
func (w *world) addDrainingGateway() *part {
	p := w.newPart("ingress-apisix", "apisix", len(w.replicas), labelsOf(gatewayPods)...)
	p.early, p.grace = true, 30*time.Second
	p.changed = func(n int, up bool) {
		if !up {
			w.replicas[n].server.Drop()
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.replicas[n].next.Store(newReplica(w.t, w.pair))
	}
	return p
}

// addManager is cert-manager as its chart makes it: a Deployment.
func (w *world) addManager() *part {
	w.manager = w.newPart("cert-manager", "cert-manager", 1, labelsOf(managerPods)...)
	w.manager.early = true
	return w.manager
}

func TestDuring(t *testing.T) {
	tests := []struct {
		name     string
		replicas int
		restart  string
		make     func(*world) *part
		spec     func(*assertrotation.Spec)
		limit    time.Duration
		hops     string   // those of the fault, with the hops around them
		violated []string // prefixes of the rules
		detail   string   // of the first
		hint     string
		broken   []string // rules on record
		deleted  int64    // pods; 0 for 1
		least    time.Duration
	}{
		{
			name: "vault, unsealed with the keys", restart: "vault", make: (*world).addVault,
			spec: func(s *assertrotation.Spec) { s.During.Keys = &keyFile },
			hops: "fault asked unsealed restored secret last-on-wire caught-up",
		},
		{
			name: "vault, unsealed by somebody else", restart: "vault",
			make: func(w *world) *part {
				w.wg.Go(func() {
					if engine.Pause(w.ctx, 30*time.Second) == nil {
						_ = w.vault.open(w.ctx)
					}
				})
				return w.addVault()
			},
			hops: "fault asked restored secret last-on-wire caught-up",
		},
		{
			name: "vault stays sealed", restart: "vault", make: (*world).addVault,
			spec:     func(s *assertrotation.Spec) { s.During.MaxDown = engine.Duration(20 * time.Second) },
			violated: []string{"certificate ingress-apisix/hello-cert is issued anew", "vault is back within 20s"},
			detail:   "certificaterequest hello-cert-2: Vault is sealed",
			hint:     "during.keys",
			broken:   []string{"issued", "restored"},
		},
		{
			name: "cert-manager", restart: "cert-manager",
			make: func(w *world) *part {
				w.manager = w.newPart("cert-manager", "cert-manager", 1, labelsOf(managerPods)...)
				return w.manager
			},
			hops: "fault asked restored secret last-on-wire caught-up",
		},
		{
			name: "cert-manager does not come back", restart: "cert-manager",
			make: func(w *world) *part {
				w.manager = w.newPart("cert-manager", "cert-manager", 1, labelsOf(managerPods)...)
				w.manager.stuck = true
				return w.manager
			},
			spec:     func(s *assertrotation.Spec) { s.During.MaxDown = engine.Duration(20 * time.Second) },
			violated: []string{"certificate ingress-apisix/hello-cert is issued anew", "cert-manager is back within 20s"},
			broken:   []string{"issued", "restored"},
		},
		{
			name: "cert-manager does not catch up", restart: "cert-manager",
			make: func(w *world) *part {
				w.manager = w.newPart("cert-manager", "cert-manager", 1, labelsOf(managerPods)...)
				w.pending = "nobody signs"
				return w.manager
			},
			spec:     func(s *assertrotation.Spec) { s.During.MaxCatchUp = engine.Duration(10 * time.Second) },
			violated: []string{"certificate ingress-apisix/hello-cert is issued anew", "the new certificate is on the wire within 10s after cert-manager is back"},
			detail:   "nobody signs",
			broken:   []string{"issued"},
		},
		{
			name: "cert-manager, whose replacement starts at once", restart: "cert-manager", make: (*world).addManager,
			hops: "fault asked restored secret last-on-wire caught-up",
		},
		{
			name: "cert-manager, whose replacement is ready too soon", restart: "cert-manager",
			make: func(w *world) *part {
				p := w.addManager()
				p.first = 5 * time.Second
				return p
			},
			hops: "fault asked restored secret last-on-wire caught-up", deleted: 2, least: 6 * time.Second,
		},
		{
			name: "cert-manager, whose old pod has ended and is still there", restart: "cert-manager",
			make: func(w *world) *part {
				p := w.addManager()
				p.grace, p.ended = 5*time.Second, 4*time.Second
				return p
			},
			hops: "fault asked secret last-on-wire restored caught-up", least: 5 * time.Second,
		},
		{
			name: "cert-manager is never away", restart: "cert-manager",
			make: func(w *world) *part {
				p := w.addManager()
				p.grace = 5 * time.Second
				return p
			},
			violated: []string{"certificate ingress-apisix/hello-cert is issued anew", "the renewal is asked for while cert-manager is away", "the new certificate is on the wire within 2m after"},
			hint:     "terminationGracePeriodSeconds",
			broken:   []string{"issued", "askedAway"},
			deleted:  5,
		},
		{
			name: "a gateway that goes on with its connections", restart: "gateway", make: (*world).addDrainingGateway,
			spec:     func(s *assertrotation.Spec) { s.MaxFailures = 5 },
			hops:     "secret fault last-on-wire restored caught-up",
			violated: []string{"connections opened before keep answering"},
			detail:   "after caught up",
			hint:     "maxLost",
			broken:   []string{"maxLost"},
			least:    30 * time.Second,
		},
		{
			name: "a gateway that goes on with its connections, allowed", restart: "gateway", make: (*world).addDrainingGateway,
			spec:  func(s *assertrotation.Spec) { s.MaxLost = 1 },
			hops:  "secret fault last-on-wire restored caught-up",
			least: 30 * time.Second,
		},
		{
			name: "the only gateway", restart: "gateway", make: (*world).addGateway,
			hops:     "secret fault restored last-on-wire caught-up",
			violated: []string{"no probe fails", "connections opened before keep answering"},
			detail:   "30 of them while gateway was away",
			hint:     "maxLost",
			broken:   []string{"maxFailures", "maxLost"},
		},
		{
			name: "the only gateway, allowed", restart: "gateway", make: (*world).addGateway,
			spec: func(s *assertrotation.Spec) { s.MaxFailures, s.MaxLost = 40, 2 },
			hops: "secret fault restored last-on-wire caught-up",
		},
		{
			name: "the only gateway, too long a gap", restart: "gateway", make: (*world).addGateway,
			spec: func(s *assertrotation.Spec) {
				s.MaxFailures, s.MaxLost, s.MaxGap = 40, 2, engine.Duration(time.Second)
			},
			violated: []string{"no address is without a successful probe for more than 1s"},
			detail:   "10.0.0.1:30443, from ",
			broken:   []string{"maxGap"},
		},
		{
			name: "nothing matches", restart: "gateway", make: (*world).addVault,
			violated: nil, hint: "during.selector",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1)
				defer w.close()
				part := tt.make(w)
				s := w.newSpec()
				s.MaxSwitch = engine.Duration(20 * time.Second)
				s.During = &disrupt.Spec{Restart: tt.restart}
				if tt.spec != nil {
					tt.spec(s)
				}
				began := time.Now()
				r, err := w.prove(s, 9*time.Minute)
				if hint := engine.HintOf(err); (err != nil) != (len(tt.violated) > 0 || tt.hint != "") || !strings.Contains(hint, tt.hint) {
					t.Errorf("error %v with the hint %q, want the hint %q", err, hint, tt.hint)
				}
				if got := r.violated(); !slices.EqualFunc(got, tt.violated, strings.HasPrefix) {
					for _, f := range r.findings {
						t.Logf("%v %s: have %v, want %v (%s)", f.Holds, f.Rule, f.Have, f.Want, f.Detail)
					}
					t.Fatalf("violated: %q, want %q", got, tt.violated)
				}
				if len(r.records) == 0 {
					return
				}
				if tt.violated != nil && !strings.Contains(r.find(tt.violated[0]).Detail, tt.detail) {
					t.Errorf("detail = %q, want it to contain %q", r.find(tt.violated[0]).Detail, tt.detail)
				}
				if tt.deleted == 0 {
					tt.deleted = 1
				}
				r.checkFault(t, tt.restart, tt.hops, tt.broken, int(tt.deleted), tt.least)
				doc := r.collect(t, began, time.Now())
				b, err := doc.Encode()
				if err != nil {
					t.Fatal(err)
				}
				_, checks := verify.Evidence(b)
				for _, c := range checks {
					for _, p := range c.Problems {
						t.Errorf("the evidence does not verify: %s: %s", c.Name, p)
					}
				}
				status := strings.Join(r.status, "\n")
				if !strings.Contains(status, "; "+tt.restart+" is away (pod ") {
					t.Errorf("the status never said what is away: %s", status)
				}
				if refused := tt.restart == "gateway" && !part.early; refused != strings.Contains(status, "░✗✗") {
					t.Errorf("the bars show failures where there are none, or none where there are: %s", status)
				}
				if part.deleted.Load() != tt.deleted {
					t.Errorf("%d pods were deleted, want %d", part.deleted.Load(), tt.deleted)
				}
			})
		})
	}
}

// checkFault checks the record of the fault.
func (r *result) checkFault(t *testing.T, part, hops string, broken []string, deleted int, least time.Duration) {
	t.Helper()
	rec := r.records[0]
	if rec.Fault.Part != part || len(rec.Fault.Pods) != deleted || rec.Fault.Began.IsZero() {
		t.Errorf("fault on record: %+v", rec.Fault)
	}
	if took := rec.Fault.Ended.Sub(rec.Fault.Began); took < least && least > 0 {
		t.Errorf("the restart is over after %s, before %s", took, least)
	}
	var got []string
	for _, h := range rec.Hops {
		if strings.Contains(" "+hops+" ", " "+h.Name+" ") {
			got = append(got, h.Name)
		}
	}
	if strings.Join(got, " ") != hops && hops != "" {
		t.Errorf("hops: %q, want %q", got, hops)
	}
	for _, rule := range rec.Rules {
		if !rule.Holds && !slices.Contains(broken, rule.Name) {
			t.Errorf("rule %s is broken on record: %v of %v", rule.Name, rule.Saw, rule.Limit)
		}
		if rule.Holds && slices.Contains(broken, rule.Name) {
			t.Errorf("rule %s holds on record: %v of %v", rule.Name, rule.Saw, rule.Limit)
		}
	}
}

// With several gateways the pods go one after another: somebody always answers.
func TestGatewaysOneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		defer w.close()
		part := w.newPart("ingress-apisix", "apisix", 2, labelsOf(gatewayPods)...)
		var down, most atomic.Int64
		part.changed = func(_ int, up bool) {
			if up {
				down.Add(-1)
			} else if n := down.Add(1); n > most.Load() {
				most.Store(n)
			}
		}
		s := w.newSpec()
		s.MaxSwitch = engine.Duration(time.Minute)
		s.During = &disrupt.Spec{Restart: "gateway"}
		r, err := w.prove(s, 5*time.Minute)
		if err != nil || r.violated() != nil {
			t.Fatalf("error %v, violated %q", err, r.violated())
		}
		if part.deleted.Load() != 2 || most.Load() != 1 || len(r.records[0].Fault.Pods) != 2 {
			t.Errorf("%d pods deleted, %d at once at the most, on record %q", part.deleted.Load(), most.Load(), r.records[0].Fault.Pods)
		}
	})
}

// A proof that is cut off while Vault is away still unseals it.
func TestCutOffIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		vault := w.addVault()
		s := w.newSpec()
		s.During = &disrupt.Spec{Restart: "vault", Keys: &keyFile}
		r, _ := w.prove(s, 3*time.Second) // gone after 2 s, running after 4 s
		if f := r.find("vault is back"); f.Holds {
			t.Errorf("Vault is back after %v", f.Have)
		}
		if vault.opened.Load() != 1 {
			t.Errorf("Vault was opened %d times", vault.opened.Load())
		}
	})
}

// Without maxDown the limit follows from how long the pods may take to end.
func TestDefaultMaxDown(t *testing.T) {
	for restart, want := range map[string]string{"gateway": "gateway is back within 4m", "cert-manager": "cert-manager is back within 3m"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 2)
			defer w.close()
			labels := map[string]string{"gateway": gatewayPods, "cert-manager": managerPods}[restart]
			space := map[string]string{"gateway": "ingress-apisix", "cert-manager": "cert-manager"}[restart]
			part := w.newPart(space, "part", 2, labelsOf(labels)...)
			part.setGrace(60)
			s := w.newSpec()
			s.MaxSwitch = engine.Duration(time.Minute)
			s.During = &disrupt.Spec{Restart: restart}
			r, err := w.prove(s, 9*time.Minute)
			if err != nil || r.find(want).Rule != want {
				t.Errorf("error %v, no finding %q", err, want)
			}
		})
	}
}

// A replacement that is ready before the renewal is accepted may act on it: then
// nothing is proved about the absence.
func TestReadyBeforeTheRenewalIsAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer w.close()
		manager := w.addManager()
		w.client.PrependReactor("update", "certificates", func(action clienttesting.Action) (bool, runtime.Object, error) {
			if action.GetSubresource() == "status" && manager.working.Load() == 0 {
				manager.working.Add(1)
				if err := w.client.Tracker().Create(podResource, manager.pod("cert-manager.9-0", "Running", true), manager.namespace); err != nil {
					t.Error(err)
				}
			}
			return false, nil, nil
		})
		s := w.newSpec()
		s.During = &disrupt.Spec{Restart: "cert-manager"}
		began := time.Now()
		r, err := w.prove(s, 5*time.Minute)
		if hint := engine.HintOf(err); !strings.Contains(hint, "run the step again") {
			t.Errorf("error %v with the hint %q", err, hint)
		}
		const rule = "the renewal is asked for while cert-manager is away"
		if got := r.violated(); !slices.Equal(got, []string{rule}) || !strings.Contains(r.find(rule).Detail, "ready before the renewal was accepted") {
			t.Errorf("violated: %q (%s), want %q", got, r.find(rule).Detail, rule)
		}
		if fault := r.records[0].Fault; fault.Away.IsZero() || !fault.StillAway.IsZero() {
			t.Errorf("on record: %+v", fault)
		}
		b, err := r.collect(t, began, time.Now()).Encode()
		if err != nil {
			t.Fatal(err)
		}
		_, checks := verify.Evidence(b)
		for _, c := range checks {
			for _, p := range c.Problems {
				t.Errorf("the evidence does not verify: %s: %s", c.Name, p)
			}
		}
	})
}
