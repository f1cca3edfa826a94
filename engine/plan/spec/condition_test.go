package spec_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/spec"
)

// conditions are the values behind the references of these tests.
func conditions(t testing.TB) values {
	return values{
		"vars.env": variable(t, "prod"), "vars.n": variable(t, "3"), "vars.yes": variable(t, "true"), "vars.no": variable(t, "no"), "vars.list": variable(t, "[1]"),
		"vars.nothing": variable(t, "null"), "vars.quoted": variable(t, `"true"`), "vars.placed": placed(t, "{v: 'false'}"), "steps.a.word": output("true"), "steps.b.word": later("true"), "steps.b.list": later([]string{}), "steps.b.text": later(ptr("")),
		"vars.given": given(t, "{v: 'true'}"),
		"vars.hex":   variable(t, "0x10"), "vars.secret": secretly(variable(t, canary)), "steps.a.port": output(443), "steps.a.ok": output(true),
		"steps.a.for": output(engine.Duration(60e9)), "steps.a.key": output(engine.NewSecret(canary)), "steps.a.list": output([]int{1}), "steps.a.name": output(ptr("x")), "steps.b.ok": later(true),
	}
}

// placed is the value of a key v, whose place in its file is known.
func placed(t testing.TB, text string) spec.Value {
	n, f := node(t, text)
	return spec.Value{Node: n.Content[1], File: f}
}

// given is such a value that is from the command line.
func given(t testing.TB, text string) spec.Value {
	v := placed(t, text)
	n := *v.Node
	n.Line, n.Column = 0, 0
	v.Node = &n
	return v
}

// eval returns the value of a condition, or its problems.
func eval(t testing.TB, text string, scope values) string {
	t.Helper()
	d, n, problems := decoder(t, text, scope)
	c := d.Condition(n)
	if c == nil {
		return strings.Join(*problems, "; ")
	}
	if strings.Contains(text, "steps.b.ok") { // not known yet
		return fmt.Sprintf("depends %v", c.Depends)
	}
	v, ok := d.Eval(c)
	return fmt.Sprintf("%v, depends %v%s", v, c.Depends, map[bool]string{false: ", failed"}[ok])
}

func TestConditions(t *testing.T) {
	scope := conditions(t)
	for text, want := range map[string]string{
		`true`:                         "true, depends false",
		`no`:                           "false, depends false",
		`${vars.yes}`:                  "true, depends false",
		`${vars.no}`:                   "false, depends false",
		`"!${vars.yes}"`:               "false, depends false",
		`"!!${vars.yes}"`:              "true, depends false",
		`${vars.env} == "prod"`:        "true, depends false",
		`${vars.env} != 'prod'`:        "false, depends false",
		`${vars.n} == 3.0`:             "true, depends false",
		`${vars.n} == 3e0`:             "true, depends false",
		`${vars.hex} == 16`:            "true, depends false",
		`-1 == -1.0`:                   "true, depends false",
		`${steps.a.port} == 443`:       "true, depends true",
		`${steps.a.name} == "x"`:       "true, depends true",
		`${steps.a.for} == "1m"`:       "true, depends true",
		`${steps.a.ok} && ${vars.yes}`: "true, depends true",
		`${steps.b.ok}`:                "depends true",
		`false || true && false`:       "false, depends false",
		`(false || true) && true`:      "true, depends false",
		`true || false && false`:       "true, depends false",
		`"!false && false"`:            "false, depends false",
		`"!(false && false)"`:          "true, depends false",
		`true == false || true`:        "true, depends false",
		`(1 == 2) == (3 == 4)`:         "true, depends false",
		`"\"a b\" == ' a b'"`:          "false, depends false",
		`${vars.n} == "3"`:             `1:11: when: == compares a number with text (text is written in quotes; numbers, true and false are not)`,
		`${vars.yes} == 1`:             `1:13: when: == compares true or false with a number`,
		`${vars.env}`:                  `1:1: when: a condition is true or false, and this is text (compare it: … == "…")`,
		`3`:                            `1:1: when: want a condition, have the number 3 (such as: when: ${vars.env} == "prod")`,
		`[true]`:                       `1:1: when: want a condition, have a list (such as: when: ${vars.env} == "prod")`,
		`"!${vars.n}"`:                 `1:2: when: ! wants true or false, and has a number`,
		`true && ${vars.env}`:          `1:6: when: && wants true or false, and has text`,
		`${vars.env} = "prod"`:         `1:13: when: unexpected "=": want an operator: ==, !=, && or || (write == to compare)`,
		`${vars.env} == prod`:          `1:16: when: "prod" is no value (text is written in quotes: "prod"; a reference is written ${vars.prod})`,
		`${vars.env} == "prod`:         `1:16: when: the closing quote is missing`,
		`${vars.env} ==`:               `1:15: when: the condition ends too early: want a value`,
		`(true`:                        `1:6: when: the condition ends too early: want ) or an operator`,
		`true)`:                        `1:5: when: unexpected ")": want an operator: ==, !=, && or ||`,
		`true true`:                    `1:6: when: unexpected "true": want an operator: ==, !=, && or ||`,
		`1 == 1 == true`:               `1:8: when: unexpected "=": want an operator: ==, !=, && or || (write == to compare)`,
		`"'${vars.env}' == 'prod'"`:    `1:2: when: inside quotes a reference is only text (write the reference without quotes: ${vars.NAME})`,
		`${vars.env == "prod"`:         `1:1: when: a reference is not closed: } is missing`,
		`${vars.secret} == "x"`:        `1:1: when: ${vars.secret} is a secret, and a condition would tell what it is`,
		`${steps.a.key} == "x"`:        `1:1: when: ${steps.a.key} is a secret, and a condition would tell what it is`,
		`${vars.list} == 1`:            `1:1: when: ${vars.list} is a list: a condition compares text, numbers, true and false`,
		`${vars.nothing} == 1`:         `1:1: when: ${vars.nothing} is nothing: a condition compares text, numbers, true and false`,
		`${steps.a.list} == 1`:         `1:1: when: ${steps.a.list} is a list: a condition compares text, numbers, true and false`,
		`!!bool [true]`:                `1:1: when: want a condition, have a list (such as: when: ${vars.env} == "prod")`,
		`!!str [true]`:                 `1:1: when: want a condition, have a list (such as: when: ${vars.env} == "prod")`,
		`null`:                         `1:1: when: want a condition, have nothing (such as: when: ${vars.env} == "prod")`,
		`${vars.n}`:                    `1:1: when: a condition is true or false, and this is a number (compare it: … == 1)`,
		`"'a'"`:                        `1:1: when: a condition is true or false, and this is text (compare it: … == "…")`,
		`${steps.a.word}`:              `1:1: when: a condition is true or false, and this is text (compare it: … == "…")`,
		`${steps.b.word} && true`:      `1:17: when: && wants true or false, and has text`,
		`${steps.b.list} == "x"`:       `1:1: when: ${steps.b.list} is a list: a condition compares text, numbers, true and false`,
		`${steps.b.text} && true`:      `1:17: when: && wants true or false, and has text`,
		`${vars.given}`:                `1:1: when: ${vars.given} is the text "true", and a condition is true or false (declare the variable with type: bool)`,
		`"!${steps.a.word}"`:           `1:2: when: ! wants true or false, and has text`,
		// The left side decides, and both sides are checked.
		`false && ${vars.env}`:     `1:7: when: && wants true or false, and has text`,
		`true || ${vars.x}`:        `1:9: when: ${vars.x}: unknown (know it)`,
		`${vars.env} && true`:      `1:13: when: && wants true or false, and has text`,
		`${vars.x} && true`:        `1:1: when: ${vars.x}: unknown (know it)`,
		`${vars.x} == 1`:           `1:1: when: ${vars.x}: unknown (know it)`,
		`1 == ${vars.x}`:           `1:6: when: ${vars.x}: unknown (know it)`,
		`${vars.env} || ${vars.n}`: `1:13: when: || wants true or false, and has text; 1:13: when: || wants true or false, and has a number`,
		`(true || true) == "x"`:    `1:16: when: == compares true or false with text`,
		`${vars.env} == (1 == 1)`:  `1:13: when: == compares text with true or false`,
		`${vars.env} != true`:      `1:13: when: != compares text with true or false (text is written in quotes; numbers, true and false are not)`,
		`3 == ${vars.env}`:         `1:3: when: == compares a number with text (text is written in quotes; numbers, true and false are not)`,
		// The text true or false, which YAML reads as text for its quotes.
		`${vars.quoted}`:                     `1:1: when: ${vars.quoted} is the text "true", and a condition is true or false (declare the variable with type: bool)`,
		`"!${vars.quoted}"`:                  `1:3: when: ${vars.quoted} is the text "true", and a condition is true or false (declare the variable with type: bool)`,
		`true && ${vars.placed}`:             `1:5: placed is the text "false", and a condition wants true or false (remove the quotes: false)`,
		`"(!true) && ${vars.quoted}"`:        `1:13: when: ${vars.quoted} is the text "true", and a condition is true or false (declare the variable with type: bool)`,
		`${vars.quoted} == "true"`:           "true, depends false",
		`${vars.quoted} == "x" && 1`:         `1:23: when: && wants true or false, and has a number`,
		`${vars.x} == ${vars.y}`:             `1:1: when: ${vars.x}: unknown (know it); 1:14: when: ${vars.y}: unknown (know it)`,
		strings.Repeat("(", 101) + "true":    `1:101: when: too many parentheses`,
		"|\n  ${vars.env} ==\n  prod":        `3:3: when: "prod" is no value (text is written in quotes: "prod"; a reference is written ${vars.prod})`,
		">-\n  ${vars.yes} &&\n  (${vars.n}": `1:1: when: the condition ends too early: want ) or an operator`,
	} {
		if got := eval(t, text, scope); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}

// TestConditionsOfRuns: a condition that was read is evaluated with the values of a run, and
// has no value after a problem with one of them.
func TestConditionsOfRuns(t *testing.T) {
	scope := conditions(t)
	d, n, problems := decoder(t, `${steps.b.ok} && ${steps.a.ok}`, scope)
	c := d.Condition(n)
	for _, tt := range []struct{ b, a, want bool }{{true, true, true}, {true, false, false}, {false, true, false}} {
		scope["steps.b.ok"], scope["steps.a.ok"] = output(tt.b), output(tt.a)
		if v, ok := d.Eval(c); v != tt.want || !ok {
			t.Errorf("%v: got %v, %v", tt, v, ok)
		}
	}
	delete(scope, "steps.b.ok")
	d.Decode(n, nil, new(string)) // the decoder was somewhere else
	*problems = nil
	if v, ok := d.Eval(c); v || ok || strings.Join(*problems, "; ") != "1:1: when: ${steps.b.ok}: unknown (know it)" {
		t.Errorf("got %v, %v, %q", v, ok, *problems)
	}
	// The right side has nothing to add.
	d, n, problems = decoder(t, `${steps.b.ok} || ${steps.b.ok}`, conditions(t))
	c = d.Condition(n)
	d.Scope = values{}
	if v, ok := d.Eval(c); v || ok || len(*problems) != 1 {
		t.Errorf("got %v, %v, %q", v, ok, *problems)
	}
	// A condition that is wrong says nothing about an input with the name of its key.
	d, n, _ = decoder(t, `${vars.x}`, scope)
	if d.Condition(n) != nil || d.Unsettled("when") {
		t.Error("the inputs depend on the condition")
	}
}

// TestShortCircuit: the right side is not evaluated when the left one decides.
func TestShortCircuit(t *testing.T) {
	scope := conditions(t)
	for text, want := range map[string]bool{`true || ${steps.a.ok}`: true, `false && ${steps.a.ok}`: false} {
		d, n, problems := decoder(t, text, scope)
		c := d.Condition(n)
		delete(scope, "steps.a.ok")
		v, ok := d.Eval(c)
		if v != want || !ok || len(*problems) > 0 {
			t.Errorf("%s = %v, %v, %v", text, v, ok, *problems)
		}
		scope = conditions(t)
	}
}

// expression writes a random condition with its value.
func expression(r *rand.Rand, depth int) (text string, value bool) {
	space := strings.Repeat(" ", r.IntN(2))
	if depth == 0 {
		leaves := []struct {
			text  string
			value bool
		}{{"true", true}, {"false", false}, {"${vars.yes}", true}, {"${vars.no}", false}, {"${steps.a.ok}", true}, {`(${vars.env}=="prod")`, true}, {"(${vars.n}!=3)", false}}
		leaf := leaves[r.IntN(len(leaves))]
		return leaf.text, leaf.value
	}
	l, lv := expression(r, depth-1)
	rt, rv := expression(r, r.IntN(depth))
	l, rt = "("+l+")", "("+rt+")"
	switch r.IntN(5) {
	case 0:
		return "!" + space + l, !lv
	case 1:
		return l + space + "&&" + space + rt, lv && rv
	case 2:
		return l + space + "||" + space + rt, lv || rv
	case 3:
		return l + space + "==" + space + rt, lv == rv
	}
	return l + space + "!=" + space + rt, lv != rv
}

// TestRandomConditions compares conditions with their values in Go.
func TestRandomConditions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	scope := conditions(t)
	for range 2000 {
		text, want := expression(r, 1+r.IntN(5))
		if got := eval(t, "'"+text+"'", scope); !strings.HasPrefix(got, fmt.Sprint(want)+", ") || strings.Contains(got, "failed") {
			t.Fatalf("%s: got %s, want %v", text, got, want)
		}
	}
}

// TestPrecedence: chains without parentheses bind as in Go.
func TestPrecedence(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		var b strings.Builder
		any := false // of the groups between ||
		for g := range 1 + r.IntN(4) {
			if g > 0 {
				b.WriteString(" || ")
			}
			all := true
			for i := range 1 + r.IntN(3) {
				if i > 0 {
					b.WriteString(" && ")
				}
				v, not := r.IntN(2) == 0, r.IntN(2) == 0
				if not {
					b.WriteString("!")
				}
				fmt.Fprint(&b, v)
				all = all && v != not
			}
			any = any || all
		}
		if got := eval(t, "'"+b.String()+"'", values{}); got != fmt.Sprintf("%v, depends false", any) {
			t.Fatalf("%s: got %s, want %v", b.String(), got, any)
		}
	}
}
