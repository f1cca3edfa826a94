package source

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/engine/plan/source/spelling"
)

// DidYouMean returns `did you mean "x"?` for the candidate closest to the written
// word, or "" if none is close. The first of equally close candidates counts.
func DidYouMean(written string, candidates []string) string {
	if best := Closest(written, candidates); strings.Contains(best, `"`) {
		return "did you mean " + best + "?" // quotes of its own: certs["shop"]
	} else if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// Closest returns the candidate that [DidYouMean] would name, or "".
func Closest(written string, candidates []string) string {
	if written == "" || len(written) > spelling.MaxLength {
		return ""
	}
	low := strings.ToLower(written)
	best, bestDistance := "", max(1, len(written)/3)+1
	for _, c := range candidates {
		l := strings.ToLower(c)
		if l == low {
			return c
		}
		if d := spelling.Distance(low, l, bestDistance); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best != "" {
		return best
	}
	// A word cut short, or with something added: "cert" for "certificate".
	for _, c := range candidates {
		l := strings.ToLower(c)
		if len(low) >= 3 && strings.HasPrefix(l, low) || len(l) >= 3 && strings.HasPrefix(low, l) {
			return c
		}
	}
	return ""
}

// Listed returns names for a hint, sorted: "a, b and c", the first few if
// there are many.
func Listed(names []string) string { return listed(names, 12) }

func listed(names []string, most int) string {
	names = slices.Clone(names)
	slices.Sort(names)
	switch n := len(names); {
	case n == 0:
		return "none"
	case n == 1:
		return names[0]
	case n > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// Suggestion returns DidYouMean, or else the candidates after intro.
func Suggestion(written string, candidates []string, intro string) string {
	if s := DidYouMean(written, candidates); s != "" {
		return s
	}
	if len(candidates) == 0 {
		return ""
	}
	return intro + Listed(candidates)
}

// ClosestFile returns the name of the file beside path that is closest to its own
// name, or "".
func ClosestFile(path string) string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return Closest(filepath.Base(path), names)
}

// Unread returns the reason why a file cannot be read, without its path: a problem names
// the file as the plan does.
func Unread(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
