package unsealkeys

import (
	"fmt"
	"strings"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// A Custodian keeps one share and nothing else.
type Custodian struct {
	// Name of the custodian in messages and in the sinks.
	Name string `yaml:"name" check:"required"`
	// Age is the custodian's age recipient, "age1…" as age-keygen -y prints it, or
	// "age1pq1…" for one that holds against quantum computers. It is not a secret.
	Age string `yaml:"age"`
	// PGP is a file with the custodian's public OpenPGP key, armored or not. Vault
	// itself encrypts the share then, and ztplan never sees it.
	PGP engine.File `yaml:"pgp" check:"exists"`
}

// Readers are those who can decrypt the root token.
type Readers struct {
	// Age lists age recipients. Any one of them can decrypt the root token.
	Age []string `yaml:"age"`
	// PGP is a file with a public OpenPGP key. Vault itself encrypts the root
	// token then, and no step of the plan can use it.
	PGP engine.File `yaml:"pgp" check:"exists"`
}

// A reader has the keys that a Part is encrypted to.
type reader struct {
	Part       // without a text
	age  toAge // nil if Vault encrypts
	pgp  *pgpKey
}

// readersOf returns the readers of the shares, nil without custodians, and those of
// the root token. It reports problems with the path of their input.
func readersOf(all []Custodian, token *Readers, report func(engine.Problem)) (custodians []reader, root *reader) {
	for i, c := range all {
		var recipients []string
		if c.Age != "" {
			recipients = []string{c.Age}
		}
		r := newReader(recipients, c.PGP, fmt.Sprintf("custodians[%d]", i), "age", func(p engine.Problem) {
			if c.Name != "" {
				p.Message = c.Name + ": " + p.Message
			}
			report(p)
		})
		r.Name = c.Name
		custodians = append(custodians, r)
	}
	if token != nil {
		r := newReader(token.Age, token.PGP, "rootToken", "age[%d]", report)
		root = &r
	}
	return custodians, root
}

// newReader reads the keys of one reader. ageField, with the number of the
// recipient, is the input that it came from.
func newReader(recipients []string, pgp engine.File, field, ageField string, report func(engine.Problem)) reader {
	var r reader
	switch {
	case len(recipients) > 0 && !pgp.IsZero():
		report(engine.Problem{Field: field, Message: "both an age recipient and a PGP key", Hint: "leave one of them away"})
		return r
	case len(recipients) == 0 && pgp.IsZero():
		report(engine.Problem{Field: field + ".age", Message: "neither an age recipient nor a PGP key", Hint: "set age or pgp"})
		return r
	case len(recipients) == 0:
		key, err := readPGP(pgp, time.Now())
		if err != nil {
			report(engine.Problem{Field: field + ".pgp", Message: err.Error(), Hint: engine.HintOf(err)})
			return r
		}
		r.pgp, r.PGP = key, key.fingerprint
		return r
	}
	for i, text := range recipients {
		to, err := parseRecipient(text)
		if err != nil {
			at := field + "." + strings.ReplaceAll(ageField, "%d", fmt.Sprint(i))
			report(engine.Problem{Field: at, Message: err.Error(), Hint: engine.HintOf(err)})
			continue
		}
		r.age, r.Age = append(r.age, to), append(r.Age, text)
	}
	if len(r.age) == len(recipients) {
		// Some recipients do not go together. That must not show after the answer.
		if _, err := r.age.seal("ztplan"); err != nil {
			report(engine.Problem{Field: field + ".age", Message: "cannot be encrypted to together: " + err.Error()})
		}
	}
	return r
}

// Validate reports all that is wrong with the keys of custodians and of those who
// can decrypt the root token; field is the path of the input that holds both.
func Validate(all []Custodian, token *Readers, p *engine.Problems, field string) {
	add := func(pr engine.Problem) {
		pr.Field = field + "." + pr.Field
		p.AddProblem(pr)
	}
	custodians, _ := readersOf(all, token, add)
	switch {
	case len(custodians) > 0 && token == nil:
		add(engine.Problem{
			Field:   "rootToken",
			Message: "the shares are encrypted, and no reader of the root token is named",
			Hint:    "set " + field + ".rootToken.age or .pgp: it is encrypted likewise",
		})
	case len(custodians) == 0 && token != nil:
		add(engine.Problem{
			Field:   "rootToken",
			Message: "the root token would be encrypted beside shares in the clear",
			Hint:    "name " + field + ".custodians, or leave rootToken away",
		})
	}
	names, keys := make(map[string]bool), make(map[string]string)
	kind := ""
	for i, c := range custodians {
		at := fmt.Sprintf("custodians[%d]", i)
		if c.Name != "" && names[c.Name] {
			add(engine.Problem{Field: at + ".name", Message: fmt.Sprintf("there are two custodians named %s", c.Name)})
		}
		names[c.Name] = true
		this, key := c.kind(), c.readers()
		if this == "" {
			continue
		}
		if other, twice := keys[key]; twice {
			add(engine.Problem{
				Field:   at + "." + this,
				Message: fmt.Sprintf("%s has the key of %s: its owner would have two shares", c.Name, other),
				Hint:    "give every custodian a key of their own",
			})
		}
		keys[key] = c.Name
		if kind != "" && this != kind {
			add(engine.Problem{
				Field:   at + "." + this,
				Message: fmt.Sprintf("%s has a key of %s, and others have keys of %s: Vault encrypts all shares or none", c.Name, this, kind),
				Hint:    "let all custodians use age, or all PGP",
			})
			return // the same for all that follow
		}
		kind = this
	}
}

func (r reader) kind() string {
	switch {
	case r.pgp != nil:
		return "pgp"
	case r.age != nil:
		return "age"
	}
	return ""
}
