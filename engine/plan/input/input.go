// Package input has the sources that a plan is read from.
package input

import (
	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/plan/vars"
)

// An Input is a plan to read and all that it depends on.
type Input struct {
	// File is the plan's path, as the user named it: messages name it so, and
	// relative files are beside it. It may be missing if Data is given.
	File string
	// Data is the plan's text; if nil, File is read.
	Data []byte
	// Inputs reads all files, the plan included; nil means new ones.
	Inputs *engine.Inputs
	// Kinds are the kinds of steps that a plan may use.
	Kinds []*engine.Kind
	// Connections are the keys that a plan may have below connections.
	Connections []engine.Connection
	// Vars are values of variables from the command line.
	Vars map[string]string
	// VarFiles are YAML or JSON files of variables; later ones come before
	// earlier ones, and Vars come before all.
	VarFiles []string
	// Values are variables that another document gives. They come before VarFiles, and
	// none of them may be a secret. A text is converted to the declared type.
	Values vars.Values
	// Fragment allows a fragment, which is then read by itself: variables without a default,
	// and connections, are not known. The plan says so then.
	Fragment bool
	// Refused returns, for a key that a kind or a connection does not have, why it is left
	// out on purpose and the alternative; "" for others. It may be nil.
	Refused func(key string, known []string) string
	// Env looks up environment variables that the plan's variables name. Nil means
	// that there are none.
	Env func(name string) (string, bool)
}
