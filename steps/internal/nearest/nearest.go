// Package nearest finds the name that was probably meant by another. A swap of two letters
// is two changes here, unlike in engine/plan/source: hostPID is no slip for hostIPC.
package nearest

import "strings"

// Name returns the name that is most likely meant by s: at most two letters
// away, or one third of its length, whichever is more; "" if there is none.
func Name(s string, names []string) string {
	best, limit := "", max(2, len(s)/3)+1
	for _, n := range names {
		if d := Distance(strings.ToLower(s), strings.ToLower(n)); d < limit {
			best, limit = n, d
		}
	}
	return best
}

// Distance counts the insertions, deletions and replacements of bytes from a to
// b: the Levenshtein distance.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
