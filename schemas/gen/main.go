// Command gen writes the files generated from the language of plans, the kinds, the
// events, the evidence and the document of a fleet: schemas/*.json, plans/README.md,
// steps/README.md and cmd/ztplan/fleet/README.md. Go types, their tags and their comments
// are the source; nothing is kept by hand beside them.
package main

import (
	"fmt"
	"os"
)

func main() {
	stale, err := Generate(".", true)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
	for _, f := range stale {
		fmt.Println("wrote", f)
	}
}
