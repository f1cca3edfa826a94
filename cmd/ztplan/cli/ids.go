package cli

import (
	"strings"

	"github.com/spf13/pflag"
)

// IDs is the value of a flag that takes ids of steps, separated by commas. An id may hold
// quotes: certs["shop"].
type IDs struct{ value *[]string }

// IDsVar defines a flag that takes ids of steps and may be given several times.
func IDsVar(f *pflag.FlagSet, value *[]string, name, help string) {
	*value = nil
	f.Var(IDs{value}, name, help)
}

// Set adds ids.
func (l IDs) Set(s string) error {
	for id := range strings.SplitSeq(s, ",") {
		if id != "" {
			*l.value = append(*l.value, id)
		}
	}
	return nil
}

func (l IDs) String() string {
	if l.value == nil {
		return ""
	}
	return strings.Join(*l.value, ",")
}

// Type is the name of the value in help texts.
func (IDs) Type() string { return "ids" }
