package lease

import (
	"fmt"
	"os"
	"os/user"
	"regexp"
	"strings"
)

// A Holder identifies the run of a plan.
type Holder struct {
	User string
	Host string
	PID  int
	Run  string // the run's id, unique
}

// Self returns this process as the holder for a run.
func Self(run string) Holder {
	h := Holder{User: "unknown", Host: "unknown", PID: os.Getpid(), Run: run}
	if u, err := user.Current(); err == nil && u.Username != "" {
		h.User = u.Username
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		h.Host = name
	}
	return h
}

// String is the holder as the Lease shows it: "ana@build-7 pid 4711 run ID".
func (h Holder) String() string {
	return fmt.Sprintf("%s@%s pid %d run %s", h.User, h.Host, h.PID, h.Run)
}

var runOf = regexp.MustCompile(` run (\S+)$`)

// runIn returns the id of the run in a holder's identity, or "".
func runIn(identity string) string {
	if m := runOf.FindStringSubmatch(identity); m != nil {
		return m[1]
	}
	return ""
}

// lease returns the name of the Lease. Names of plans may have underscores, which
// names of objects may not; no plan name has a dot, and none follows "ztplan.".
func (r Request) lease() string {
	if r.Vault != "" {
		return "ztplan.vault." + strings.ReplaceAll(r.Vault, "/", ".")
	}
	return "ztplan-" + strings.ReplaceAll(r.Plan, "_", ".")
}

// what describes the holder's work.
func (r Request) what() string {
	if r.Vault != "" {
		return "Vault " + r.Vault + " is being changed"
	}
	return "plan " + r.Plan + " is being run"
}
