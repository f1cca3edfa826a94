package engine

import "strings"

func mirrored(mirrors []Mirror, address string) string {
	best := Mirror{}
	for _, m := range mirrors {
		from := strings.TrimSuffix(m.From, "/")
		if len(from) > len(best.From) && (address == from || strings.HasPrefix(address, from+"/")) {
			best = Mirror{From: from, To: strings.TrimSuffix(m.To, "/")}
		}
	}
	return best.To + strings.TrimPrefix(address, best.From)
}
