// Package spelling compares words that may be misspelt.
package spelling

// MaxLength is how long a word may be to be compared with others.
const MaxLength = 64

// Distance counts the letters to insert, delete, replace or swap with their
// neighbour that turn a into b. It stops counting at limit, which is
// the distance of longer words, too.
func Distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(b) > MaxLength {
		return limit
	}
	var buf [3][MaxLength + 1]int
	before, last, this := buf[0][:len(b)+1], buf[1][:len(b)+1], buf[2][:len(b)+1]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		this[0] = i
		low := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(last[j]+1, this[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, before[j-2]+1)
			}
			this[j] = d
			low = min(low, d)
		}
		if low >= limit {
			return limit
		}
		before, last, this = last, this, before
	}
	return min(last[len(b)], limit)
}
