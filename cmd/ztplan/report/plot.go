package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

// Sizes of a plot, in the units of its viewBox.
const (
	plotLeft   = 12
	plotRight  = 16
	hopRow     = 16
	laneHeight = 26
	nameRow    = 16 // height of a line above a lane
)

// A sheet is the area of a plot: as wide as a page, or as a phone, where
// hops are numbers and the table of hops has their names.
type sheet struct {
	class   string
	width   float64
	ticks   float64 // about so many
	numbers bool
}

var (
	wideSheet   = sheet{class: "wide", width: 960, ticks: 8}
	narrowSheet = sheet{class: "narrow", width: 340, ticks: 4, numbers: true}
)

// A plotView is the plot of one rotation: a lane per endpoint, time from left
// to right, hops as lines from top to bottom.
type plotView struct {
	Class          string
	Width, Height  int
	LaneTop, Floor int
	Lanes          []laneView
	Hops           []hopView
	Ticks          []tickView
	Label          string
}

type laneView struct {
	Address  string
	Y, H     int
	NameY    int
	Spans    []spanView
	Failures []markView
	Remark   string
	RemarkY  int // NameY, or below
}

// A spanView is a time during which an endpoint showed one certificate.
type spanView struct {
	X, W, Y, H float64
	Class      string // old, new or other
	Title      string
}

type markView struct {
	X, Y, H float64
	Title   string
}

type hopView struct {
	X, TextX float64
	TextY    int
	Anchor   string
	Name     string
	At       string
	Path     string // of the line, which leaves out the text above lanes
}

type tickView struct {
	X    float64
	Text string
}

func newPlot(r evidence.RotationRecord, on sheet) plotView {
	length := max(r.Ended.Sub(r.Began).Seconds(), 0.001)
	for _, e := range r.Endpoints {
		if n := len(e.Samples); n > 0 {
			length = max(length, e.Samples[n-1].At)
		}
	}
	x := func(at float64) float64 {
		f := min(max(at/length, 0), 1)
		return math.Round(10*(plotLeft+f*(on.width-plotLeft-plotRight))) / 10
	}
	p := plotView{Class: on.class, Width: int(on.width)}

	// Hops: names or numbers in as many rows as they need so as not to overlap.
	hops := slices.Clone(r.Hops)
	slices.SortStableFunc(hops, func(a, b evidence.Hop) int { return a.At.Compare(b.At) })
	var ends []float64 // of the text in each row
	for i, h := range hops {
		at := h.At.Sub(r.Began).Seconds()
		v := hopView{X: x(at), Anchor: "start", Name: h.Name, At: fmt.Sprintf("+%.2fs", at)}
		if on.numbers {
			v.Name, v.At = fmt.Sprint(i+1), ""
		}
		width := 7.2 * float64(len(v.Name)+len(v.At)+1)
		from := v.X + 4
		v.TextX = from
		if from+width > on.width {
			v.Anchor, v.TextX, from = "end", v.X-4, v.X-4-width
		}
		row := slices.IndexFunc(ends, func(e float64) bool { return e < from })
		if row < 0 {
			row, ends = len(ends), append(ends, 0)
		}
		ends[row] = from + width + 6
		v.TextY = hopRow * (row + 1)
		p.Hops = append(p.Hops, v)
	}
	p.LaneTop = hopRow*len(ends) + 10
	y := p.LaneTop
	bars := ""
	for _, e := range r.Endpoints {
		y += nameRow + 6
		if on.numbers {
			y += nameRow
		}
		p.Lanes = append(p.Lanes, newLane(e, x, y, on))
		bars += fmt.Sprintf(" M%%[1]g,%d V%d", y-2, y+laneHeight+2)
		y += laneHeight
	}
	for i := range p.Hops {
		h := &p.Hops[i]
		h.Path = fmt.Sprintf("M%[1]g,%[2]d V%[3]d", h.X, h.TextY+3, p.LaneTop) + fmt.Sprintf(bars, h.X)
	}
	p.Floor = y + 8
	p.Height = p.Floor + 24
	step := niceStep(length / on.ticks)
	for at := 0.0; at <= length; at += step {
		p.Ticks = append(p.Ticks, tickView{x(at), fmt.Sprintf("%gs", math.Round(at*1000)/1000)})
	}
	p.Label = fmt.Sprintf("Rotation %d of %s/%s over %s: %d endpoints, %d hops; the tables below have the figures",
		r.Number, r.Namespace, r.Name, display.Seconds(length), len(r.Endpoints), len(r.Hops))
	return p
}

// newLane joins samples that show the same certificate to spans.
func newLane(e evidence.Endpoint, x func(float64) float64, y int, on sheet) laneView {
	l := laneView{Address: e.Address, Y: y, H: laneHeight, NameY: y - 6, RemarkY: y - 6}
	l.Remark = fmt.Sprintf("%s, failures %s, longest gap %s", display.Count(e.Attempts, "handshake"), failures(e), display.Seconds(e.LongestGapSeconds))
	if on.numbers {
		l.NameY -= nameRow
	}
	type open struct {
		cert, n  int
		from, to float64
	}
	var cur *open
	flush := func(next float64) {
		if cur == nil {
			return
		}
		class, name := "other", fmt.Sprintf("certificate %d", cur.cert)
		switch cur.cert {
		case 0:
			class, name = "old", "old certificate"
		case 1:
			class, name = "new", "new certificate"
		}
		from, to := x(cur.from), max(x(next), x(cur.from)+1.5)
		l.Spans = append(l.Spans, spanView{X: from, W: math.Round(10*(to-from)) / 10, Y: float64(y), H: laneHeight, Class: class,
			Title: fmt.Sprintf("%s: %s from +%.2fs to +%.2fs, %s", e.Address, name, cur.from, cur.to, display.Count(cur.n, "handshake"))})
		cur = nil
	}
	lastFailure, at := -10.0, 0.0
	for _, s := range e.Samples {
		n := max(s.Count, 1)
		if s.Cert < 0 {
			// One mark a pixel: thousands of failures look the same.
			if px := x(s.At); px-lastFailure >= 1 {
				l.Failures = append(l.Failures, markView{X: px, Y: float64(y) - 3, H: laneHeight + 6,
					Title: fmt.Sprintf("%s: %s, %s at +%.2fs", e.Address, display.Count(n, "failure"), s.Class, s.At)})
				lastFailure = px
			}
			continue
		}
		// A certificate is seen when the handshake ends. Handshakes are in the
		// order of their starts and may end in another.
		at = max(at, s.At+s.Seconds)
		if cur != nil && cur.cert != s.Cert {
			flush(at)
		}
		if cur == nil {
			cur = &open{cert: s.Cert, from: at}
		}
		cur.to = at
		cur.n += n
	}
	if cur != nil {
		flush(cur.to)
	}
	return l
}

// niceStep rounds up to 1, 2 or 5 times a power of ten.
func niceStep(s float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(s)))
	for _, m := range []float64{1, 2, 5} {
		if s <= m*p {
			return m * p
		}
	}
	return 10 * p
}
