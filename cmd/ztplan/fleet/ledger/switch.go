package ledger

import (
	"fmt"
	"math"

	"github.com/ztplan/ztplan/engine/display"
)

// A switchView is the distribution of how long the rotation proofs' switches took.
type switchView struct {
	Text  string
	Bars  []barView
	Ticks []tickView
}

type barView struct {
	X, Y, Wide, High float64
	Title            string
}

type tickView struct {
	X    float64
	Text string
}

// The plot of the distribution, in units of its viewBox.
const (
	plotWide = 1000
	plotHigh = 120
	plotBins = 40
)

// switchOf returns nil if there are too few rotation proofs for a distribution.
func switchOf(t Totals) *switchView {
	n := len(t.Switches)
	if n < 10 {
		return nil
	}
	v := &switchView{Text: fmt.Sprintf("Half of the clusters switched within %s, 90 %% within %s, 99 %% within %s. The slowest, %s, took %s.",
		Seconds(t.Quantile(0.5)), Seconds(t.Quantile(0.9)), Seconds(t.Quantile(0.99)), display.Text(t.Slowest.Cluster), Seconds(t.Switches[n-1]))}
	step := tick(t.Switches[n-1] / 5)
	end := step * math.Max(1, math.Ceil(t.Switches[n-1]/step))
	bins := make([]int, plotBins)
	most := 0
	for _, s := range t.Switches {
		i := min(int(plotBins*max(s, 0)/end), plotBins-1)
		bins[i]++
		most = max(most, bins[i])
	}
	const wide = plotWide / plotBins
	for i, n := range bins {
		if n == 0 {
			continue
		}
		high := math.Max(2, math.Round(plotHigh*float64(n)/float64(most)))
		v.Bars = append(v.Bars, barView{X: float64(i * wide), Y: plotHigh - high, Wide: wide - 2, High: high,
			Title: fmt.Sprintf("%s to %s: %s", Seconds(end*float64(i)/plotBins), Seconds(end*float64(i+1)/plotBins), Clusters(n))})
	}
	for x := 0.0; x <= end*1.001; x += step {
		v.Ticks = append(v.Ticks, tickView{X: math.Round(plotWide * x / end), Text: fmt.Sprintf("%.4g s", x)})
	}
	return v
}

// tick rounds the distance of ticks up to 1, 2 or 5 times a power of ten.
func tick(about float64) float64 {
	if about <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(about)))
	for _, f := range []float64{1, 2, 5} {
		if about <= f*power {
			return f * power
		}
	}
	return 10 * power
}
