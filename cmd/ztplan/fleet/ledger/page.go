package ledger

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/report"
	"github.com/ztplan/ztplan/engine/display"
	"github.com/ztplan/ztplan/steps/evidence"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

// A pageView is the data of page.html. Its texts are made safe for display.
type pageView struct {
	Style  template.CSS
	Script template.JS
	Policy string // Content-Security-Policy

	Head   *Head
	Title  string
	Claim  string
	Times  string
	States []stateView
	Facts  []factView
	Size   string // of the squares of the map: tiles, squares or dots
	Waves  []*waveView
	Causes []causeView
	Switch *switchView
	Spread []spreadView
	Rows   []rowView
}

// A stateView is a state that some cluster is in.
type stateView struct {
	Name    string
	Count   string
	X, Wide float64 // in a bar of 1000
}

type factView struct{ Name, Value, Note, Link string }

type waveView struct {
	Name, Did, Rules string
	Times            string
	Squares          []squareView
}

type squareView struct{ State, Title, Text string }

type causeView struct {
	Group
	Count, Clusters string
	Links           []linkView // of all its clusters
}

type linkView struct{ Name, Anchor string }

type spreadView struct {
	Of   string
	Rows []spreadRow
}

type spreadRow struct {
	Version, Clusters string
	Wide              float64 // in a bar of 1000
}

// A rowView is a cluster. Numbers that are not known are empty.
type rowView struct {
	Anchor, Link, Name, Wave, State         string
	Tries, Seconds, Switch, Failures, Doubt string
	Kubernetes, Version, Cause              string
}

// Sizes of the map: few clusters have room for their names.
const (
	mostTiles   = 40
	mostSquares = 3000
)

// Page returns the page of a fleet: one file that shows every cluster and needs nothing
// else. It follows from the head, but for its own digest there, and from the leaves.
func Page(head *Head, leaves []Leaf) ([]byte, error) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	style := report.Style(pageStyle)
	v := &pageView{
		Style: template.CSS(style), Script: template.JS(pageScript), Policy: report.Policy(style, pageScript),
		Head: display.Copy(head), Claim: Claim(head), Size: "dots",
	}
	v.Title = v.Head.Fleet
	switch {
	case len(leaves) <= mostTiles:
		v.Size = "tiles"
	case len(leaves) <= mostSquares:
		v.Size = "squares"
	}
	v.Times = fmt.Sprintf("%s in %s, %s", Clusters(len(leaves)), display.Count(len(head.Waves), "wave"), head.Began.UTC().Format("2006-01-02 15:04:05 UTC"))
	if took := head.Ended.Sub(head.Began); took > 0 {
		v.Times += ", " + Span(took)
	}
	v.states(head, len(leaves))
	anchors := v.rows(head, leaves)
	totals := Sum(leaves)
	v.facts(totals, anchors, len(leaves))
	v.waves(head, leaves)
	for _, g := range Causes(leaves) {
		c := causeView{Group: display.Copy(g), Count: Clusters(len(g.Names)), Clusters: display.Text(g.Clusters(5))}
		for _, name := range g.Names {
			c.Links = append(c.Links, linkView{display.Text(name), anchors[name]})
		}
		v.Causes = append(v.Causes, c)
	}
	v.Switch = switchOf(totals)
	for _, s := range totals.Versions {
		if len(s.List) > 1 {
			v.Spread = append(v.Spread, spreadOf(s))
		}
	}
	var out bytes.Buffer
	err = t.Execute(&out, v)
	return out.Bytes(), err
}

func (v *pageView) states(head *Head, all int) {
	x := 0.0
	for _, s := range States {
		n := head.Counts[s]
		if n == 0 {
			continue
		}
		wide := 1000 * float64(n) / float64(max(all, 1))
		v.States = append(v.States, stateView{Name: s, Count: Number(n), X: x, Wide: wide})
		x += wide
	}
}

// rows makes the table, and returns where a cluster is in it.
func (v *pageView) rows(head *Head, leaves []Leaf) map[string]string {
	anchors := make(map[string]string, len(leaves))
	v.Rows = make([]rowView, 0, len(leaves))
	for i := range leaves {
		l := &leaves[i]
		r := rowView{
			Anchor: "c" + strconv.Itoa(i), Name: display.Text(l.Cluster), Wave: display.Text(l.Wave), State: display.Text(l.State),
			Tries: strconv.Itoa(l.Tries), Cause: display.Text(display.FirstLine(l.Why())),
		}
		anchors[l.Cluster] = r.Anchor
		if d := l.Verdict; d != nil {
			if d.Evidence != "" && isName(l.Cluster) {
				r.Link = ClustersDir + "/" + url.PathEscape(l.Cluster) + "/" + reportOf(head, d.Version)
			}
			r.Kubernetes, r.Version = display.Text(d.Server), display.Text(d.Version)
			if took := d.Ended.Sub(d.Began); took > 0 {
				r.Seconds = number(took.Seconds(), 1)
			}
			if rotation := d.Rotation; rotation != nil {
				r.Switch, r.Failures, r.Doubt = number(rotation.Switch, 2), strconv.Itoa(rotation.Failures), percent(rotation.Doubt)
			}
		}
		v.Rows = append(v.Rows, r)
	}
	return anchors
}

func (v *pageView) facts(t Totals, anchors map[string]string, all int) {
	add := func(name, value, note, cluster string) {
		f := factView{Name: name, Value: display.Text(value), Note: display.Text(note)}
		if a := anchors[cluster]; a != "" {
			f.Link = "#" + a
		}
		v.Facts = append(v.Facts, f)
	}
	if t.Slowest != nil {
		add("Slowest switch", Seconds(t.Slowest.Verdict.Rotation.Switch), t.Slowest.Cluster, t.Slowest.Cluster)
		add("Failed handshakes", Number(t.Failures), "of "+Number(t.Handshakes), "")
		add("Greatest doubt", evidence.Percent(t.Doubtful.Verdict.Rotation.Doubt), t.Doubtful.Cluster, t.Doubtful.Cluster)
	}
	for _, s := range t.Versions {
		switch n, first := len(s.List), s.List[0]; {
		case n > 1:
			add(s.Of, Number(n)+" versions", fmt.Sprintf("%s on %s", first.Version, Number(first.Clusters)), "")
		case first.Clusters == all:
			add(s.Of, first.Version, "everywhere", "")
		default:
			add(s.Of, first.Version, "of "+Clusters(first.Clusters), "")
		}
	}
}

func (v *pageView) waves(head *Head, leaves []Leaf) {
	byName := make(map[string]*waveTimes)
	for _, w := range head.Waves {
		wv := &waveView{Name: display.Text(w.Name), Rules: rules(w)}
		byName[w.Name] = &waveTimes{view: wv, counts: make(map[string]int)}
		v.Waves = append(v.Waves, wv)
	}
	for i := range leaves {
		l := &leaves[i]
		w := byName[l.Wave]
		if w == nil {
			continue // leaves of a wave that the head does not name: verification reports it
		}
		w.add(l)
		row := &v.Rows[i]
		s := squareView{State: row.State, Title: row.Name + "\n" + row.State}
		if row.Cause != "" {
			s.Title += ": " + Brief(row.Cause)
		}
		if v.Size == "tiles" {
			s.Text = row.Name
		}
		w.view.Squares = append(w.view.Squares, s)
	}
	for _, w := range byName {
		w.view.Did, w.view.Times = Words(w.counts), w.times()
	}
}

// waveTimes adds up a wave.
type waveTimes struct {
	view         *waveView
	counts       map[string]int
	began, ended time.Time
}

func (w *waveTimes) add(l *Leaf) {
	w.counts[l.State]++
	if l.Verdict == nil || l.Verdict.Began.IsZero() {
		return
	}
	if w.began.IsZero() || l.Verdict.Began.Before(w.began) {
		w.began = l.Verdict.Began
	}
	if l.Verdict.Ended.After(w.ended) {
		w.ended = l.Verdict.Ended
	}
}

func (w *waveTimes) times() string {
	if w.began.IsZero() {
		return "not begun"
	}
	return fmt.Sprintf("%s to %s UTC, %s", w.began.UTC().Format(time.TimeOnly), w.ended.UTC().Format(time.TimeOnly), Span(w.ended.Sub(w.began)))
}

// rules describes how a wave was to run.
func rules(w Wave) string {
	text := fmt.Sprintf("at most %s at once; stops when more than %s fail", Number(w.Parallel), display.Text(w.Limit))
	if w.Limit == "0" {
		text = fmt.Sprintf("at most %s at once; stops when one fails", Number(w.Parallel))
	}
	if w.Soak > 0 {
		text += "; then soaks " + w.Soak.String()
	}
	return text
}

func spreadOf(s Spread) spreadView {
	v := spreadView{Of: s.Of}
	most := s.List[0].Clusters
	for _, c := range s.List {
		v.Rows = append(v.Rows, spreadRow{Version: display.Text(c.Version), Clusters: Number(c.Clusters), Wide: 1000 * float64(c.Clusters) / float64(most)})
	}
	return v
}

// Why returns why a cluster is not settled, or not proved; "" if nothing is on record.
func (l *Leaf) Why() string {
	if l.Verdict == nil || l.Verdict.Cause == "" {
		return l.Cause
	}
	if l.Verdict.Step != "" {
		return "step " + l.Verdict.Step + ": " + l.Verdict.Cause
	}
	return l.Verdict.Cause
}

// Brief bounds a text that is shown among others.
func Brief(s string) string {
	const most = 160
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func number(f float64, digits int) string { return strconv.FormatFloat(f, 'f', digits, 64) }

// Seconds formats the time of a switch: "840 ms", "2.31 s".
func Seconds(s float64) string {
	if s < 1 {
		return number(1000*s, 0) + " ms"
	}
	return number(s, 2) + " s"
}

func percent(p float64) string { return strings.TrimSuffix(evidence.Percent(p), " %") }

// Span formats a long duration for people: "48s", "2m5s", "3h20m".
func Span(d time.Duration) string {
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
}
