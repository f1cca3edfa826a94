package fleet

import (
	"fmt"
	"strconv"
	"strings"
)

// A Limit is a number of clusters, or a percentage of those of a wave.
type Limit struct {
	text string
}

// UnmarshalText reads "3" or "2%".
func (l *Limit) UnmarshalText(text []byte) error {
	number, percent := strings.CutSuffix(string(text), "%")
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || percent && n > 100 {
		return fmt.Errorf("want a number of clusters such as 3 or a percentage such as 2%%, have %q", text)
	}
	l.text = string(text)
	return nil
}

// MarshalText returns the limit as it is written.
func (l Limit) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

func (l Limit) String() string {
	if l.text == "" {
		return "0"
	}
	return l.text
}

// Of returns the limit for a wave of n clusters, rounded down.
func (l Limit) Of(n int) int {
	number, percent := strings.CutSuffix(l.String(), "%")
	v, _ := strconv.Atoi(number)
	if percent {
		return n * v / 100
	}
	return v
}
