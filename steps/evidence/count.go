package evidence

import "fmt"

// Count is "1 step" or "2 steps".
func Count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
