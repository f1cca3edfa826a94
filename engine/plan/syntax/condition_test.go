package syntax_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ztplan/ztplan/engine/plan/syntax"
)

// written shows a condition with parentheses around every operator and its operands, and
// the offset of each part after @.
func written(e *syntax.Expr) string {
	at := fmt.Sprintf("@%d", e.Offset)
	switch {
	case e.Op == "!":
		return "(!" + at + " " + written(e.L) + ")"
	case e.Op != "":
		return "(" + written(e.L) + " " + e.Op + at + " " + written(e.R) + ")"
	case e.Ref != nil:
		return e.Ref.Raw + at
	}
	return fmt.Sprintf("%#v", e.Value) + at
}

// misplaced returns the parts of a condition whose text does not stand at their offset: a
// problem with a part is shown there.
func misplaced(text string, e *syntax.Expr) (parts []string) {
	if e == nil {
		return nil
	}
	if e.Text == "" || !strings.HasPrefix(text[e.Offset:], e.Text) || e.Ref != nil && e.Ref.Offset != e.Offset {
		parts = append(parts, fmt.Sprintf("%q at %d", e.Text, e.Offset))
	}
	return append(append(parts, misplaced(text, e.L)...), misplaced(text, e.R)...)
}

// TestConditions: what a condition may be, and how it is read.
func TestConditions(t *testing.T) {
	for text, want := range map[string]string{
		`true`:                     `true@0`,
		` false `:                  `false@1`,
		`1`:                        `1@0`,
		`-1.5e3`:                   `-1500@0`,
		`+2`:                       `2@0`,
		`.5`:                       `0.5@0`,
		`"a b"`:                    `"a b"@0`,
		`""`:                       `""@0`,
		`"it's"`:                   `"it's"@0`,
		`'say "x"'`:                `"say \"x\""@0`,
		`"a && (b"`:                `"a && (b"@0`,
		`"$x {y}"`:                 `"$x {y}"@0`,
		`${vars.a}`:                `${vars.a}@0`,
		` ${ vars.a } `:            `${ vars.a }@1`,
		`${vars.a["x}y"]}`:         `${vars.a["x}y"]}@0`,
		`${vars.a}==1`:             `(${vars.a}@0 ==@9 1@11)`,
		`${vars.a}!=1`:             `(${vars.a}@0 !=@9 1@11)`,
		"1\t==\r\n2":               `(1@0 ==@2 2@6)`,
		`!true`:                    `(!@0 true@1)`,
		`! true`:                   `(!@0 true@2)`,
		`!!${vars.a}`:              `(!@0 (!@1 ${vars.a}@2))`,
		`!${vars.a} == true`:       `((!@0 ${vars.a}@1) ==@11 true@14)`,
		`true == !false`:           `(true@0 ==@5 (!@8 false@9))`,
		`true&&false||true`:        `((true@0 &&@4 false@6) ||@11 true@13)`,
		`true || false && 1 == 2`:  `(true@0 ||@5 (false@8 &&@14 (1@17 ==@19 2@22)))`,
		`true && false && true`:    `((true@0 &&@5 false@8) &&@14 true@17)`,
		`true || false || true`:    `((true@0 ||@5 false@8) ||@14 true@17)`,
		`true && (false || true)`:  `(true@0 &&@5 (false@9 ||@15 true@18))`,
		`(1 == 1) == ( 2 != 3 )`:   `((1@1 ==@3 1@6) ==@9 (2@14 !=@16 3@19))`,
		`((true))`:                 `true@2`,
		`!(true && false)`:         `(!@0 (true@2 &&@7 false@10))`,
		`${vars.a["=="]} == "a=b"`: `(${vars.a["=="]}@0 ==@16 "a=b"@19)`,
	} {
		e, bad := syntax.ParseCondition(text)
		if bad != nil {
			t.Errorf("%s: %d: %s", text, bad.Offset, bad.Message)
			continue
		}
		if got := written(e); got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
		if parts := misplaced(text, e); parts != nil {
			t.Errorf("%s: wrong places: %q", text, parts)
		}
	}
}

// TestWrongConditions: what a condition may not be, what the message says, and which text
// it is about.
func TestWrongConditions(t *testing.T) {
	const (
		operator = ": want an operator: ==, !=, && or ||"
		once     = ` (compare with == or !=, once for each value: ${vars.env} == "prod" || ${vars.env} == "test")`
		quotes   = " (text is written in quotes: %q; a reference is written ${vars.%[1]s})"
	)
	for text, want := range map[string]string{
		// It ends too early.
		``:           `0: "": the condition ends too early: want a value`,
		`  `:         `2: "": the condition ends too early: want a value`,
		`true && `:   `8: "": the condition ends too early: want a value`,
		`1 ==`:       `4: "": the condition ends too early: want a value`,
		`!`:          `1: "": the condition ends too early: want a value`,
		`(`:          `1: "": the condition ends too early: want a value`,
		`(true`:      `5: "": the condition ends too early: want ) or an operator`,
		`"prod`:      `0: "\"": the closing quote is missing`,
		`1 == 'x"`:   `5: "'": the closing quote is missing`,
		` ${vars.a`:  `1: "${": a reference is not closed: } is missing`,
		`${vars.a["`: `0: "${": a reference is not closed: } is missing`,
		// A value is missing.
		`()`:       `1: ")": unexpected ")": want a value`,
		`== 1`:     `0: "=": unexpected "=": want a value (write == to compare)`,
		`!= 1`:     `0: "!": unexpected "!": want a value`,
		`1 == == `: `5: "=": unexpected "=": want a value (write == to compare)`,
		`1 === 1`:  `4: "=": unexpected "=": want a value (write == to compare)`,
		`|| true`:  `0: "|": unexpected "|": want a value`,
		// An operator is missing, or is one of another language.
		`true true`:           `5: "true": unexpected "true"` + operator,
		`true)`:               `4: ")": unexpected ")"` + operator,
		`"a" "b"`:             `4: "\"": unexpected "\""` + operator,
		`1 == 1 == true`:      `7: "=": unexpected "="` + operator + ` (write == to compare)`,
		`(true false)`:        `6: "false": unexpected "false": want ) or an operator`,
		`${vars.a} = 1`:       `10: "=": unexpected "="` + operator + ` (write == to compare)`,
		`true and true`:       `5: "and": unexpected "and"` + operator + ` (write &&)`,
		`true or true`:        `5: "or": unexpected "or"` + operator + ` (write ||)`,
		`${vars.a} in (1, 2)`: `10: "in": unexpected "in"` + operator + once,
		`"a" contains "b"`:    `4: "contains": unexpected "contains"` + operator + once,
		`"a" matches "b"`:     `4: "matches": unexpected "matches"` + operator + once,
		`"a" =~ "b"`:          `4: "=~": unexpected "=~"` + operator + once,
		`1 < 2`:               `2: "<": unexpected "<"` + operator + once,
		`1 > 2`:               `2: ">": unexpected ">"` + operator + once,
		`1 <= 2`:              `2: "<": unexpected "<"` + operator + once,
		// Words that are no value.
		`prod`:                 `0: "prod": "prod" is no value` + fmt.Sprintf(quotes, "prod"),
		`"x" == prod `:         `7: "prod": "prod" is no value` + fmt.Sprintf(quotes, "prod"),
		`not`:                  `0: "not": "not" is no value` + fmt.Sprintf(quotes, "not"),
		`1x`:                   `0: "1x": "1x" is no value` + fmt.Sprintf(quotes, "1x"),
		`True`:                 `0: "True": "True" is no value` + fmt.Sprintf(quotes, "True"),
		`-inf`:                 `0: "-inf": "-inf" is no value` + fmt.Sprintf(quotes, "-inf"),
		`nan`:                  `0: "nan": "nan" is no value` + fmt.Sprintf(quotes, "nan"),
		`1e999`:                `0: "1e999": "1e999" is no value` + fmt.Sprintf(quotes, "1e999"),
		`other.a == 1`:         `0: "other.a": "other.a" is no value` + fmt.Sprintf(quotes, "other.a"),
		`vars`:                 `0: "vars": "vars" is no value` + fmt.Sprintf(quotes, "vars"),
		`inputs`:               `0: "inputs": "inputs" is no value` + fmt.Sprintf(quotes, "inputs"),
		`not  true`:            `0: "not": unexpected "not" (write ! for not: !true)`,
		`contains(vars.a, 1)`:  `0: "contains": "contains": a condition has no functions (it has ==, !=, !, && and ||: ${vars.env} == "prod" || ${vars.env} == "test")`,
		`vars.env == "prod"`:   `0: "vars.env": "vars.env" is no value (write ${vars.env})`,
		`true && steps.a.b`:    `8: "steps.a.b": "steps.a.b" is no value (write ${steps.a.b})`,
		`each.key == 1`:        `0: "each.key": "each.key" is no value (write ${each.key})`,
		`plan.name == 1`:       `0: "plan.name": "plan.name" is no value (write ${plan.name})`,
		`var.env == "prod"`:    `0: "var.env": "var.env" is no value (write ${vars.env})`,
		`inputs.env == "prod"`: `0: "inputs.env": "inputs.env" is no value (write ${vars.env})`,
		`values.a.b == "prod"`: `0: "values.a.b": "values.a.b" is no value (write ${vars.a.b})`,
		// References.
		`"${vars.a}" == "x"`:    `0: "\"${vars.a}\"": inside quotes a reference is only text (write the reference without quotes: ${vars.NAME})`,
		`1 == ${vars.}`:         `5: "${vars.}": ${vars.}: a name is missing after a dot (${})`,
		`true && ${{ vars.a }}`: `8: "${{ vars.a }}": ${{ vars.a }} is not a reference: it has one brace on each side (write ${vars.a})`,
		`${vars.a == 1}`:        `0: "${vars.a == 1}": ${vars.a == 1} is an expression: a reference names one value (in "when", compare outside of it: ${vars.env} == "prod"; elsewhere there are no expressions)`,
	} {
		e, bad := syntax.ParseCondition(text)
		if bad == nil {
			t.Errorf("%s is read as %s", text, written(e))
			continue
		}
		got := fmt.Sprintf("%d: %q: %s", bad.Offset, bad.Text, bad.Message)
		if bad.Hint != "" {
			got += " (" + bad.Hint + ")"
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
		if !strings.HasPrefix(text[bad.Offset:], bad.Text) {
			t.Errorf("%s: %q does not stand at %d", text, bad.Text, bad.Offset)
		}
	}
}

// TestDeepConditions: nesting is bounded, and how many parts stand side by side is not.
func TestDeepConditions(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("(", 99) + "true" + strings.Repeat(")", 99),
		strings.Repeat("!", 99) + "true",
		strings.Repeat("true && ", 1000) + "true",
		strings.Repeat("(true) || !", 1000) + "true",
	} {
		if _, bad := syntax.ParseCondition(text); bad != nil {
			t.Errorf("%.110s: %d: %s", text, bad.Offset, bad.Message)
		}
	}
	for _, sign := range []string{"(", "!", "!("} {
		_, bad := syntax.ParseCondition(strings.Repeat(sign, 1_000_000) + "true")
		if bad == nil || bad.Message != "too many parentheses" || bad.Offset != 100 {
			t.Errorf("a million of %s: %+v, want too many parentheses at 100", sign, bad)
		}
	}
}
