package templates

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/cmd/ztplan/planflags"
	"github.com/ztplan/ztplan/cmd/ztplan/release"
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/engine/plan"
	"github.com/ztplan/ztplan/schemas"
	"github.com/ztplan/ztplan/steps"
)

// A beginning has the values of the flags of init.
type beginning struct {
	file     string // of the plan
	template string
	name     string
	schema   bool
	yes      bool
}

// A command is init with its flags.
type command struct{ *planflags.Flags }

// Command returns the command that writes a plan to begin with.
func Command(of *planflags.Flags) *cobra.Command {
	a := &command{of}
	var b beginning
	var list bool
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a plan to begin with",
		Long: `Init writes a commented plan from a template, to plan.yaml unless another file is
named. On a terminal it asks for the template and for its variables; elsewhere, and
with --yes, the flags and the defaults count. It contacts nothing, checks what it
writes, and never overwrites a file.

The template guide is the whole set-up: Vault, cert-manager, APISIX, an app, and the
proofs. The template rotation proves the rotation of a certificate that exists
already and installs nothing. --list shows both with their variables.

Exit status: 0 the plan is written; 1 the file is there already or cannot be
written; 3 a value is missing or wrong, and nothing was written.`,
		Example: `  ztplan init
  ztplan init site.yaml --yes --var domain=example.org
  ztplan init --template rotation --var host=hello.example.local --var certificate=hello-cert \
    --var namespace=ingress-apisix --var service=apisix-gateway`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if list {
				return a.listTemplates()
			}
			b.file = "plan.yaml"
			if len(args) == 1 {
				b.file = args[0]
			}
			return a.start(cmd.Context(), b)
		},
	}
	cmd.ValidArgsFunction = cli.CompleteFiles("yaml", "yml")
	a.OutputFlag(cmd, "text", "json")
	cli.ChoiceVar(cmd, cmd.Flags(), &b.template, "template", "", "", Names(), "the template, guide unless given: "+strings.Join(Names(), ", "))
	cmd.Flags().StringArrayVar(&a.Vars, "var", nil, "set a variable of the template, `name=value`; repeatable")
	cmd.Flags().StringVar(&b.name, "name", "", "name of the plan (default the template's)")
	cmd.Flags().BoolVar(&b.schema, "schema", false, "write the schema for editors beside the plan, instead of naming that of the release")
	cmd.Flags().BoolVarP(&b.yes, "yes", "y", false, "ask nothing: take the defaults")
	cmd.Flags().BoolVar(&list, "list", false, "list the templates and their variables; write nothing")
	return cmd
}

func (a *command) listTemplates() error {
	list, err := All()
	if err != nil {
		return err
	}
	if a.Output == "json" {
		return json.NewEncoder(a.Stdout).Encode(list)
	}
	for i, t := range list {
		if i > 0 {
			fmt.Fprintln(a.Text)
		}
		fmt.Fprintf(a.Text, "%s: %s\n", t.Name, t.Description)
		for _, v := range t.Variables {
			preset := "required"
			switch {
			case v.Made != "":
				preset = "made: " + v.Made
			case v.Default != "":
				preset = "default " + v.Default
			}
			fmt.Fprintf(a.Text, "  %-18s %s (%s)\n", v.Name, v.Description, preset)
		}
	}
	return nil
}

// start writes a plan to begin with.
func (a *command) start(ctx context.Context, b beginning) (err error) {
	values, err := a.Variables()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(b.file); err == nil {
		return existing(b.file, "name another: ztplan init FILE")
	}
	t, err := a.template(b, values)
	if err != nil {
		return err
	}
	dir := filepath.Dir(b.file)
	made, err := t.Make(dir, values)
	if errors.Is(err, fs.ErrExist) {
		return existing(filepath.Join(dir, t.Value("identity", values)), "give its recipient with --var operator=age1…, or another name with --var identity=FILE")
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, Remove(made))
		}
	}()
	text, err := t.Plan(b.name, values)
	if err != nil {
		return &cli.Error{Code: cli.Invalid, Text: err.Error()}
	}
	in := plan.Input{File: b.file, Data: text, Inputs: engine.NewInputs(ctx), Kinds: steps.All(), Connections: steps.Connections(), Vars: values}
	p, err := plan.Load(in)
	if err != nil {
		a.Problems(err)
		return &cli.Error{Code: cli.Invalid, Text: "nothing was written", Hint: cmp.Or(missingRoot(in.Inputs.File(filepath.Dir(b.file), t.Value("ca", values))), "ztplan init --list shows the variables of the templates")}
	}
	schema := release.URL(a.Version, "plan.schema.json")
	if b.schema {
		schema = "plan.schema.json"
		if err := WriteNew(filepath.Join(dir, schema), schemas.Plan, 0o644); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	text = append([]byte("# yaml-language-server: $schema="+schema+"\n"), text...)
	if err := WriteNew(b.file, text, 0o644); err != nil {
		return err
	}
	return a.tellStart(b, t, p, made)
}

// missingRoot returns the advice if the file of the root CA, which the plan trusts, is not
// there; "" if it is.
func missingRoot(ca engine.File) string {
	if ca.IsZero() {
		return ""
	}
	if _, err := os.Stat(ca.Path); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return "put the root CA there, such as with kubectl -n NAMESPACE get secret SECRET -o jsonpath='{.data.ca\\.crt}' | base64 -d >" + ca.Name + ", or name another file with --var ca=FILE"
}

func existing(file, hint string) error {
	return &cli.Error{Code: cli.Failed, Text: file + " exists already, and nothing was written", Hint: hint}
}

// template returns the chosen template. It asks for the template and for values that are
// not given, if there is a person to ask.
func (a *command) template(b beginning, values map[string]string) (Template, error) {
	list, err := All()
	if err != nil {
		return Template{}, err
	}
	_, asks := cli.Terminal(a.Stdin)
	asks = asks && !b.yes && a.Output == "text"
	in := bufio.NewReader(a.Stdin)
	t := list[0]
	if b.template != "" {
		t = list[slices.Index(Names(), b.template)]
	} else if asks {
		if t, err = Choose(in, a.Stderr, list); err != nil {
			return t, unanswered(err)
		}
	}
	if asks {
		err = unanswered(t.Ask(in, a.Stderr, values))
	}
	return t, err
}

func unanswered(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &cli.Error{Code: cli.Interrupted, Text: "the answers ended, and nothing was written"}
	}
	return err
}

// tellStart prints the names of the files that were written, and the next commands.
func (a *command) tellStart(b beginning, t Template, p *plan.Plan, made []string) error {
	if a.Output == "json" {
		return json.NewEncoder(a.Stdout).Encode(map[string]any{"file": b.file, "plan": p.Name, "template": t.Name, "made": append([]string{}, made...)})
	}
	fmt.Fprintf(a.Text, "wrote %s: plan %s, %s, from template %s\n", b.file, p.Name, display.Count(len(p.Steps), "step"), t.Name)
	for _, name := range made {
		fmt.Fprintf(a.Text, "wrote %s: keep it, out of git: without it Vault cannot be unsealed\n", name)
	}
	_, err := fmt.Fprintf(a.Text, "next:\n  ztplan lint %s\n  ztplan run %s --dry-run\n", b.file, b.file)
	return err
}
