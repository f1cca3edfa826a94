package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/run"
)

// note is a kind of step: a file with a text.
type note struct {
	Path string `yaml:"path"`
	Text string `yaml:"text"`
}

// noteOutputs are the outputs of a note.
type noteOutputs struct {
	Path string `yaml:"path"`
}

func (n *note) Inspect(_ context.Context, _ *engine.Env) (noteOutputs, []engine.Edit, error) {
	out := noteOutputs{Path: n.Path}
	have, err := os.ReadFile(n.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, nil, err
	}
	if err == nil && string(have) == n.Text {
		return out, nil, nil
	}
	edit := engine.Edit{Path: "note", Want: n.Text}
	if err == nil {
		edit.Have = string(have)
	}
	edit.Apply = func(context.Context) error { return os.WriteFile(n.Path, []byte(n.Text), 0o600) }
	return out, []engine.Edit{edit}, nil
}

// A kind has one method: Inspect returns one Edit per difference, with the function
// that removes it. The run applies the edits and inspects again; a second run finds
// nothing to do.
func Example() {
	dir, err := os.MkdirTemp("", "note")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	kind := engine.NewKind("note", engine.DefaultPolicy(), func() *note { return new(note) })
	spec := &note{Path: filepath.Join(dir, "note.txt"), Text: "hello"}
	node := run.Node{
		ID: "greeting", Kind: kind, Policy: kind.Policy,
		Spec: func(run.Outputs) (any, error) { return spec, nil },
	}
	show := func(e engine.Event) {
		switch e.Action {
		case engine.ActionDiffers:
			fmt.Printf("%s: %v, want %v\n", e.Path, e.Have, e.Want)
		case engine.ActionChanged, engine.ActionUnchanged:
			fmt.Println(e.Step, e.Action)
		}
	}
	for range 2 {
		if _, err := run.Run(context.Background(), []run.Node{node}, run.Options{Sink: show}); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// note: <nil>, want hello
	// greeting changed
	// greeting unchanged
}
