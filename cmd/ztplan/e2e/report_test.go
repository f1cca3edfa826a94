package e2e

import (
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
)

// A table is a result that make drift and make crash print.
type table struct{ rows [][]string }

func (tb *table) add(cells ...string) { tb.rows = append(tb.rows, cells) }

// print writes the table to standard output, where go test -v lets it through.
func (tb *table) print() {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out)
	for _, r := range tb.rows {
		fmt.Fprintln(out, strings.Join(r, "\t"))
	}
	fmt.Fprintln(out)
	_ = out.Flush()
}
