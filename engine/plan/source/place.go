package source

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/plan/source/mask"
)

// A Finder returns the places of parts of scalars. It continues from the part that
// it found last: the parts of one scalar, in their order, are found in time linear
// in the length of the scalar.
type Finder struct {
	File *File

	node *yaml.Node // whose parts are being looked for

	// Where the last part begins: in the value, in the source, and its place. At
	// first it is the value itself.
	value, source, line, column int
	end                         int // of the source, or of the file
	// apart is set if the value and the source differ before the last part.
	apart bool
	// lost is set if a part was not found: later parts are not searched for.
	lost bool
}

// Within returns the position of a part of a scalar: the byte at offset in the
// scalar's value, where text is found. Quotes, escapes and folding make the
// source differ from the value, so the text itself is looked for; without it
// the position is the scalar's own.
func (f *Finder) Within(n *yaml.Node, offset int, text string) Position {
	if f.node != n || offset < f.value {
		if !f.begin(n) {
			return f.File.Place(n)
		}
	}
	if f.lost || offset > len(n.Value) {
		return f.File.Place(n)
	}
	between, rest := n.Value[f.value:offset], f.File.data[f.source:f.end]
	same := !f.apart && bytes.HasPrefix(rest, []byte(between))
	// Plain text may stand for what could not be read, see unread: it is not searched for.
	if same && (n.Style&^yaml.TaggedStyle == 0 || bytes.HasPrefix(rest[len(between):], []byte(text))) {
		return f.move(offset, f.source+len(between))
	}
	at := -1
	if text != "" {
		// An escape such as \U00000041 takes ten bytes; looking further would find the
		// same text in another scalar.
		window := rest[:min(len(rest), 10*(len(between)+len(text))+256)]
		// The same text may come more than once: skip those before.
		at = nth(window, []byte(text), strings.Count(between, text))
	}
	if at < 0 && same {
		return f.move(offset, f.source+len(between))
	}
	if at < 0 {
		f.lost = true
		return f.File.Place(n)
	}
	f.apart = true
	return f.move(offset, f.source+at)
}

// begin starts at a scalar, and reports whether its source is there.
func (f *Finder) begin(n *yaml.Node) bool {
	start := f.File.offset(n.Line, n.Column)
	if start < 0 {
		*f = Finder{File: f.File}
		return false
	}
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
	if quoted {
		start = min(start+1, len(f.File.data))
	}
	*f = Finder{File: f.File, node: n, source: start, end: len(f.File.data)}
	if quoted && start > 0 && strings.IndexByte(`'"`, f.File.data[start-1]) >= 0 {
		rest := f.File.data[start:]
		if end := mask.QuoteEnd(string(rest[:min(len(rest), 10*len(n.Value)+256)]), 0, f.File.data[start-1]); end > 0 {
			f.end = start + end - 1
		}
	}
	f.line, f.column = f.File.at(start)
	return true
}

// move continues to a later part and returns its place.
func (f *Finder) move(value, source int) Position {
	if next := f.line; next < len(f.File.starts) && f.File.starts[next] <= source {
		f.line, f.column = f.File.at(source)
	} else {
		f.column += utf8.RuneCount(f.File.data[f.source:source])
	}
	f.value, f.source = value, source
	return Position{f.File.Name, f.line, f.column}
}

// nth returns where text is found in data after it was skipped so often, or -1.
func nth(data, text []byte, skip int) int {
	for at := 0; ; skip-- {
		i := bytes.Index(data[at:], text)
		if i < 0 {
			return -1
		}
		if at += i; skip == 0 {
			return at
		}
		at += len(text)
	}
}
