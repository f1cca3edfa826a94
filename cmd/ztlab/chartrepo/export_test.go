package chartrepo

import "github.com/ztplan/ztplan/cmd/ztlab/charts"

// Charts returns the charts that are served, sorted by name, newest version first.
func (s *Server) Charts() []charts.Chart {
	served := make([]charts.Chart, 0, len(s.archive))
	for _, a := range s.archive {
		served = append(served, a.Chart)
	}
	return served
}
