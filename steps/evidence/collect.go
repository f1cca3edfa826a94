package evidence

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/certs"
)

// A Collector makes a Document from the events of one run. It is used from one
// goroutine, as a run's sink is.
type Collector struct {
	doc   Document
	steps map[string]*Step
	order []string
	seen  map[string]bool // fingerprints
}

// NewCollector returns a Collector for a run of plan. The events give the run's
// Began, Ended and Result.
func NewCollector(plan Plan, run Run) *Collector {
	return &Collector{
		doc:   Document{Schema: Schema, Plan: plan, Run: run},
		steps: make(map[string]*Step), seen: make(map[string]bool),
	}
}

// Event records e. Times on record never go back, even if the clock did.
func (c *Collector) Event(e engine.Event) {
	if e.Time = e.Time.UTC(); e.Time.Before(c.doc.Run.Ended) {
		e.Time = c.doc.Run.Ended
	}
	if c.doc.Run.Began.IsZero() {
		c.doc.Run.Began = e.Time
	}
	c.doc.Run.Ended = e.Time
	switch e.Action {
	case engine.ActionPlan:
		c.steps[e.Step] = &Step{ID: e.Step, Kind: e.Kind, Proof: e.Proof, Position: e.Position, Needs: slices.Clone(e.Needs)}
		c.order = append(c.order, e.Step)
		return
	case engine.ActionEnd:
		if e.Summary != nil {
			c.doc.Summary = *e.Summary
			c.doc.Summary.CriticalPath = slices.Clone(e.Summary.CriticalPath)
		}
	case engine.ActionEvidence:
		c.record(e)
		return
	case engine.ActionLog, engine.ActionStatus:
		return
	default:
		if s := c.steps[e.Step]; s != nil {
			s.event(e)
		}
	}
	switch e.Action {
	case engine.ActionDiffers, engine.ActionFinding, engine.ActionViolated, engine.ActionWould:
		return // they are with the step
	}
	c.doc.Timeline = append(c.doc.Timeline, Moment{
		Time: e.Time, Step: e.Step, Action: e.Action, Path: e.Path, Attempt: e.Attempt,
		Message: e.Message, Error: e.Error, Seconds: e.Seconds,
	})
}

func (s *Step) event(e engine.Event) {
	switch e.Action {
	case engine.ActionStart:
		s.Began = e.Time
	case engine.ActionDiffers:
		d := s.edit(e.Path)
		d.Have, d.Want, d.Note = e.Have, e.Want, e.Message
	case engine.ActionApplied:
		d := s.edit(e.Path)
		d.Applied++
		d.Seconds += e.Seconds
	case engine.ActionUnknown:
		s.edit(e.Path).Unknown = true
	case engine.ActionRetry:
		s.Retries++
	case engine.ActionWarn:
		s.Warnings = append(s.Warnings, e.Message)
	case engine.ActionFinding, engine.ActionViolated:
		s.Findings = append(s.Findings, Finding{
			Rule: e.Path, Holds: e.Action == engine.ActionFinding, Have: e.Have, Want: e.Want, Detail: e.Message,
		})
	case engine.ActionWould:
		if s.State = "would"; e.Path != "" {
			s.Changes = append(s.Changes, Change{Path: e.Path, Want: e.Want, Note: e.Message})
		} else {
			s.Would = append(s.Would, e.Message)
		}
	default:
		state, ok := StateOf(e.Action)
		if !ok {
			return
		}
		s.State, s.Seconds, s.Error, s.Hint, s.Reason = state, e.Seconds, e.Error, e.Hint, e.Message
		s.Next, s.Until = e.Next, e.Until
		if s.Reason == "" && len(e.Needs) > 0 {
			s.Reason = "known after " + strings.Join(e.Needs, ", ")
			if e.Action != engine.ActionAfter {
				s.Reason = "may change after " + strings.Join(e.Needs, ", ")
			}
		}
	}
}

// StateOf returns the state that an action means, if it ends a step.
func StateOf(a engine.Action) (string, bool) {
	switch a {
	case engine.ActionUnchanged, engine.ActionChanged, engine.ActionProved, engine.ActionAwaiting, engine.ActionPending, engine.ActionAfter:
		return string(a), true
	case engine.ActionSkip:
		return "skipped", true
	case engine.ActionFail:
		return "failed", true
	}
	return "", false
}

func (s *Step) edit(path string) *Edit {
	for i := range s.Edits {
		if s.Edits[i].Path == path {
			return &s.Edits[i]
		}
	}
	s.Edits = append(s.Edits, Edit{Path: path})
	return &s.Edits[len(s.Edits)-1]
}

// record adds the record of a step to its section. Data of another form is kept as
// it is.
func (c *Collector) record(e engine.Event) {
	var err error
	switch e.Name {
	case RecordRotation:
		err = convert(e, c.rotation)
	case RecordRollover:
		err = convert(e, c.rollover)
	case RecordHandshake:
		err = convert(e, c.handshake)
	case RecordDenial:
		err = convert(e, c.denial)
	case RecordChart:
		err = convert(e, c.chart)
	default:
		err = errors.ErrUnsupported
	}
	if err != nil {
		c.doc.Records = append(c.doc.Records, OtherRecord{e.Step, e.Name, e.Time, e.Data})
	}
}

// convert reads the plain data of a record and adds it.
func convert[T any](e engine.Event, add func(step string, data T) error) error {
	b, err := json.Marshal(e.Data)
	if err != nil {
		return err
	}
	var data T
	if err := json.Unmarshal(b, &data); err != nil {
		return err
	}
	return add(e.Step, data)
}

func (c *Collector) chart(step string, ch Chart) error {
	c.doc.Charts = append(c.doc.Charts, ChartRecord{step, ch})
	return nil
}

func (c *Collector) rotation(step string, r Rotation) error {
	refs := references{c: c}
	out := RotationRecord{Step: step, Rotation: r, Trust: refs.certificates(r.Trust), Certs: refs.list(r.Certs), Clients: refs.list(r.Clients)}
	out.Rotation.Trust, out.Rotation.Certs, out.Rotation.Clients = nil, nil, nil
	if refs.err == nil {
		c.doc.Rotations = append(c.doc.Rotations, out)
	}
	return refs.err
}

func (c *Collector) handshake(step string, h Handshake) error {
	refs := references{c: c}
	out := HandshakeRecord{
		Step: step, Handshake: h,
		Trust: refs.certificates(h.Trust), Certificate: refs.presented(h.Certificate), Client: refs.optional(h.Client),
	}
	out.Handshake.Trust, out.Handshake.Certificate, out.Handshake.Client = nil, Certificate{}, nil
	if refs.err == nil {
		c.doc.Handshakes = append(c.doc.Handshakes, out)
	}
	return refs.err
}

func (c *Collector) denial(step string, d Denial) error {
	refs := references{c: c}
	out := DenialRecord{
		Step: step, Denial: d,
		Trust: refs.certificates(d.Trust), ControlTrust: refs.certificates(d.ControlTrust),
		Certificate: refs.optional(d.Certificate), ControlCertificate: refs.optional(d.ControlCertificate),
	}
	out.Denial.Trust, out.Denial.ControlTrust, out.Denial.Certificate, out.Denial.ControlCertificate = nil, nil, nil, nil
	if refs.err == nil {
		c.doc.Denials = append(c.doc.Denials, out)
	}
	return refs.err
}

// references are made for one record. They add the certificates to the document, until one
// cannot be read: err is why, and the record is not used then.
type references struct {
	c   *Collector
	err error
}

func (r *references) list(all []Certificate) (out []CertificateRef) {
	for _, cert := range all {
		out = append(out, r.presented(cert))
	}
	return out
}

// optional returns a reference to a certificate, nil for nil.
func (r *references) optional(cert *Certificate) *CertificateRef {
	if cert == nil {
		return nil
	}
	ref := r.presented(*cert)
	return &ref
}

// presented returns a reference to a certificate; the fields beside its PEM
// are computed.
func (r *references) presented(cert Certificate) CertificateRef {
	leaf, chain := r.certificates([]string{cert.PEM}), r.certificates(cert.Chain)
	if r.err != nil {
		return CertificateRef{}
	}
	all := slices.DeleteFunc(append(leaf[1:], chain...), func(f string) bool { return f == leaf[0] })
	return CertificateRef{Fingerprint: leaf[0], Chain: all}
}

// certificates records every certificate in the texts and returns fingerprints.
func (r *references) certificates(texts []string) (out []string) {
	for _, text := range texts {
		var all []*x509.Certificate
		if r.err == nil {
			all, r.err = certs.Parse(text)
		}
		for _, cert := range all {
			d := Describe(cert)
			out = append(out, d.Fingerprint)
			if !r.c.seen[d.Fingerprint] {
				r.c.seen[d.Fingerprint] = true
				r.c.doc.Certificates = append(r.c.doc.Certificates, d)
			}
		}
	}
	return out
}

// About sets the subject of the run.
func (c *Collector) About(s *Subject) { c.doc.Subject = s }

// Diagnose sets the state of the cluster after a failure.
func (c *Collector) Diagnose(d *Diagnosis) { c.doc.Diagnosis = d }

// Document returns the sealed evidence of the events so far. It may be called
// when a run was cut off: steps that did not end count as skipped.
func (c *Collector) Document(interrupted bool) (*Document, error) {
	d := c.doc
	d.Steps = make([]Step, 0, len(c.order))
	for _, id := range c.order {
		s := *c.steps[id]
		if s.State == "" {
			s.State, s.Reason = "skipped", noTurn
		}
		d.Steps = append(d.Steps, s)
	}
	d.Run.Result = string(ResultOf(d.Run.Mode, d.Steps, interrupted))
	normalize(reflect.ValueOf(&d).Elem())
	if err := d.Seal(); err != nil {
		return nil, err
	}
	// The values are those that a reader of the file would get.
	b, err := d.Encode()
	if err != nil {
		return nil, err
	}
	return Decode(b)
}

// normalize brings times to UTC and makes lists and mappings that are nil empty:
// readers need not know null.
func normalize(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			v.Set(reflect.ValueOf(at.UTC().Round(0)))
			return
		}
		// A Fault that is not there is left out, with its lists.
		if v.Type() == reflect.TypeFor[Fault]() && v.IsZero() {
			return
		}
		for i := range v.NumField() {
			normalize(v.Field(i))
		}
	case reflect.Pointer:
		switch v.Type() {
		case reflect.TypeFor[*Subject](), reflect.TypeFor[*CertificateRef](), reflect.TypeFor[*Diagnosis](), reflect.TypeFor[*ClientDenial]():
			normalize(v.Elem())
		}
	case reflect.Slice:
		if v.IsNil() {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
		if v.Type().Elem().Kind() == reflect.Struct {
			for i := range v.Len() {
				normalize(v.Index(i))
			}
		}
	case reflect.Map:
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
	}
}

// noTurn is the reason of a step that the run did not come to.
const noTurn = "the run ended before its turn"

// ResultOf returns the result of a run, from its mode and steps.
func ResultOf(mode string, steps []Step, interrupted bool) engine.Result {
	how := engine.Ending{DryRun: mode == ModeDryRun, Interrupted: interrupted}
	for _, s := range steps {
		if s.State == "skipped" && s.Reason == noTurn {
			how.Cut = true
		}
	}
	return engine.ResultOf(CountsOf(steps), how)
}

// CountsOf returns the counts of a summary that follow from the states of the steps.
func CountsOf(steps []Step) (c engine.Summary) {
	for _, s := range steps {
		if s.Proof {
			c.Proofs++
		}
		switch s.State {
		case "unchanged":
			c.Unchanged++
		case "changed":
			c.Changed++
		case "proved":
			c.Proved++
		case "awaiting":
			c.Awaiting++
		case "pending", "after":
			c.Pending++
		case "skipped":
			c.Skipped++
		case "failed":
			c.Failed++
		}
	}
	return c
}
