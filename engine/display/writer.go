package display

import (
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// A Writer makes plain text safe that is written to it. Every Write must hold
// whole lines, or parts that begin and end between characters.
type Writer struct{ W io.Writer }

// Write writes p. It returns len(p) if all of it was written.
func (w Writer) Write(p []byte) (int, error) { return whole(p, w.W, []byte(Text(string(p)))) }

// A JSONWriter replaces, in JSON that is written to it, the characters that
// [Text] would replace and that JSON leaves as they are, by \u and their number: the
// values stay the same. Every Write must hold whole characters.
type JSONWriter struct{ W io.Writer }

// Write writes p. It returns len(p) if all of it was written.
func (w JSONWriter) Write(p []byte) (int, error) { return whole(p, w.W, JSON(p)) }

func whole(p []byte, w io.Writer, out []byte) (int, error) {
	if _, err := w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// JSON returns the JSON text b with hidden characters in its strings as \u escapes.
func JSON(b []byte) []byte {
	if !bytes.ContainsFunc(b, hiddenInJSON) {
		return b
	}
	var out bytes.Buffer
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case !hiddenInJSON(r):
			out.Write(b[:n])
		case r > 0xffff:
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out.Bytes()
}

// hiddenInJSON leaves out the white space between values. Other C0 characters
// stand in no JSON.
func hiddenInJSON(r rune) bool { return r != '\r' && hidden(r) }
