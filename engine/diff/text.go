package diff

// textDiff returns the lines of a unified diff without headers: " " kept,
// "-" removed, "+" added. It finds the longest common subsequence in quadratic
// time: for texts beyond most lines, everything is removed and added.
func textDiff(have, want []string) []string {
	const most = 2000
	var out []string
	if len(have) > most || len(want) > most {
		for _, l := range have {
			out = append(out, "- "+l)
		}
		for _, l := range want {
			out = append(out, "+ "+l)
		}
		return out
	}
	common := make([][]int32, len(have)+1)
	for i := range common {
		common[i] = make([]int32, len(want)+1)
	}
	for i := len(have) - 1; i >= 0; i-- {
		for j := len(want) - 1; j >= 0; j-- {
			if have[i] == want[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(have) || j < len(want) {
		switch {
		case i < len(have) && j < len(want) && have[i] == want[j]:
			out = append(out, "  "+have[i])
			i, j = i+1, j+1
		case j == len(want) || i < len(have) && common[i+1][j] >= common[i][j+1]:
			out = append(out, "- "+have[i])
			i++
		default:
			out = append(out, "+ "+want[j])
			j++
		}
	}
	return out
}
