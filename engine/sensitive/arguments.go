package sensitive

import "strings"

// Arguments returns the offsets of the elements of a list that are secrets by the option
// before them, as x of --password, x in the arguments of a container. Another option and a
// variable of the container, $(PASSWORD), are none.
func Arguments(list []any) []int {
	var out []int
	for i := 1; i < len(list); i++ {
		option, _ := list[i-1].(string)
		value, _ := list[i].(string)
		name := strings.TrimLeft(option, "-")
		if name != option && !strings.Contains(name, "=") && Holds(name, value) && !strings.HasPrefix(value, "--") && !strings.HasPrefix(value, "$(") {
			out = append(out, i)
		}
	}
	return out
}
