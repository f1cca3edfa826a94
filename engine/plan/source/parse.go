package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/ztplan/ztplan/engine/kubeyaml"
)

// maxExpanded is how many nodes aliases may repeat.
const maxExpanded = 1_000_000

// Parse reads the one document of a file into a tree without aliases and merge
// keys, in which keys are scalars and unique within their mapping. It returns
// nil for a file without content, and nil with problems reported for one that
// is no YAML. A file with mistakes whose remedy is known is read as if they were mended,
// after a problem for each.
func Parse(src *File, what string, report func(*Problem)) *yaml.Node {
	if at := invalidUTF8(src.data); at >= 0 {
		line, column := src.at(at)
		report(&Problem{Position: Position{src.Name, line, column},
			Summary: "not UTF-8 text", Hint: "save the file as UTF-8"})
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(src.data))
	doc, err := nextDocument(dec)
	if errors.Is(err, io.EOF) {
		return nil
	}
	template := err == nil && bytes.Contains(src.data, []byte("{{")) && templateLine(doc) > 0
	if err == nil {
		second, more := nextDocument(dec)
		switch {
		case more == nil && !IsNull(second.Content[0]):
			report(&Problem{Position: src.Place(second.Content[0]),
				Summary: "a second YAML document: " + what + " is one document",
				Hint:    "put it into a file of its own, or remove the --- before it"})
		case more != nil && !errors.Is(more, io.EOF):
			err = more
		}
	}
	if err != nil || template {
		mended, ok := repair(src, report)
		switch {
		case mended != nil:
			doc = mended
		case !ok && err != nil:
			report(syntaxProblem(src, err))
			return nil
		case ok:
			return nil
		}
	}
	kubeyaml.Resolve(doc)
	x := expander{src: src, report: report, bare: bytes.Contains(src.data, []byte("! "))}
	root := doc.Content[0]
	x.expand(&root)
	if x.failed {
		return nil
	}
	return root
}

func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// nextDocument turns a panic of the parser into an error: a plan is input, and
// no input may end the process.
func nextDocument(dec *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: the parser gave up: %v", r)
		}
	}()
	doc = new(yaml.Node)
	if err := dec.Decode(doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, io.EOF
	}
	return doc, nil
}

var yamlErrorLine = regexp.MustCompile(`^line (\d+): `)

func syntaxProblem(src *File, err error) *Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	p := &Problem{Position: Position{File: src.Name, Line: 1}}
	if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	// The parser names the line in which a construct began, and counts it from 0 if
	// the grammar is at fault rather than a character. That line helps for a construct
	// that is not closed; otherwise the place is the line where the parser stopped.
	switch _, last := lastLineRead(src); {
	case strings.Contains(text, "unexpected end of stream"), strings.Contains(text, "could not find expected ':'"):
	case strings.HasPrefix(text, "did not find expected ',' or"):
		if p.Line = min(p.Line+1, last); p.Line < last {
			p.Detail = fmt.Sprintf("what begins in this line is not closed before line %d", last)
		}
	default:
		p.Line = last
	}
	p.Line, _ = src.clamp(p.Line, 0)
	p.Summary = "not valid YAML: " + text
	line := src.line(p.Line)
	p.Column = len(line) - len(strings.TrimLeft(line, " ")) + 1
	switch {
	case strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
		p.Hint = "indent with spaces: YAML does not take tabs"
	case strings.Contains(line, "${") && strings.HasPrefix(text, "did not find expected ',' or"):
		p.Hint = `inside { } and [ ] a reference needs quotes: {trust: "${steps.root.certificate}"}`
	case strings.Contains(text, "mapping values are not allowed"):
		p.Hint = `a value that contains ": " needs quotes; otherwise look at the indentation`
	case strings.Contains(text, "control characters"):
		p.Hint = "remove the control character, or write it as an escape in double quotes"
	}
	return p
}

// lastLineRead returns the number of the last line that the parser takes in before it gives
// up, and that of the last one with content: it reads on over empty lines and comments.
func lastLineRead(src *File) (line, content int) {
	r := &lineReader{src: src}
	dec := yaml.NewDecoder(r)
	for {
		if _, err := nextDocument(dec); err != nil {
			return r.line, max(1, r.content)
		}
	}
}

// A lineReader hands out a file line by line and counts. Lines that are only a
// comment become empty: the parser would read on beyond them.
type lineReader struct {
	src     *File
	line    int // handed out, perhaps in part
	content int // the last of them that is not empty
	rest    []byte
}

func (r *lineReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.line == len(r.src.starts) {
			return 0, io.EOF
		}
		end := len(r.src.data)
		if r.line+1 < len(r.src.starts) {
			end = r.src.starts[r.line+1]
		}
		r.rest = r.src.data[r.src.starts[r.line]:end]
		r.line++
		switch text := strings.TrimLeft(r.src.line(r.line), " "); {
		case strings.HasPrefix(strings.TrimLeft(text, "\t "), "#"):
			r.rest = []byte("\n")
		case text != "":
			r.content = r.line
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// IsNull reports whether n is null or not there.
func IsNull(n *yaml.Node) bool {
	return n == nil || n.Kind == 0 || n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

type expander struct {
	src      *File
	report   func(*Problem)
	active   map[*yaml.Node]bool // anchored nodes being expanded
	size     map[*yaml.Node]int  // anchored nodes, expanded
	repeated int                 // nodes that aliases repeat, so far
	failed   bool
	bare     bool // there may be a ! before a value
}

func (x *expander) problem(n *yaml.Node, hint, format string, args ...any) {
	x.report(&Problem{Position: x.src.Place(n), Summary: fmt.Sprintf(format, args...), Hint: hint})
}

// expand replaces aliases below *p and *p itself and returns how many nodes
// the tree now has.
func (x *expander) expand(p **yaml.Node) (size int) {
	n := *p
	if n.Kind == yaml.AliasNode {
		target := n.Alias
		if x.active[target] {
			x.problem(n, "", "anchor %q contains itself", n.Value)
			*p = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
			return 1
		}
		x.repeated += x.size[target]
		if x.repeated > maxExpanded && !x.failed {
			x.problem(n, "write fewer aliases of aliases", "aliases repeat more than %d values", maxExpanded)
			x.failed = true
		}
		*p = target
		return x.size[target]
	}
	if n.Anchor != "" {
		if x.active == nil {
			x.active, x.size = make(map[*yaml.Node]bool), make(map[*yaml.Node]int)
		}
		x.active[n] = true
		defer func() {
			delete(x.active, n)
			x.size[n] = size
		}()
	}
	x.checkTag(n)
	size = 1
	for i := range n.Content {
		if x.failed {
			return size
		}
		size = min(size+x.expand(&n.Content[i]), maxExpanded+1)
	}
	if n.Kind == yaml.MappingNode {
		x.mapping(n)
	}
	return size
}

func (x *expander) checkTag(n *yaml.Node) {
	if x.bare && n.Kind == yaml.ScalarNode && n.Style == 0 && !strings.HasPrefix(n.Value, "!") {
		if at := x.src.offset(n.Line, n.Column); at >= 0 && bytes.HasPrefix(x.src.data[at:], []byte("! ")) {
			x.problem(n, "write the value in quotes: when: '!…'", "a ! before a value is dropped: YAML takes it for a tag")
			n.Value = "! " + n.Value
			n.Tag = "!!str"
			return
		}
	}
	switch n.Tag {
	case "", "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq", "!!merge":
		return
	}
	// The tag is not named: it may be a password that begins with !.
	x.problem(n, "leave the tag out, or write the value in quotes: key: '!…'", "a tag, which is a word that begins with !, has no meaning here")
	switch n.Kind {
	case yaml.ScalarNode:
		n.Tag = "!!str"
	case yaml.MappingNode:
		n.Tag = "!!map"
	default:
		n.Tag = "!!seq"
	}
}

// mapping checks the keys of n and replaces its merge keys. As everywhere in
// [kubeyaml], the later of a merge key and a key of n's own wins.
func (x *expander) mapping(n *yaml.Node) {
	var out pairs // the pairs that are kept, from the first on that is left out
	changed := false
	var seen map[string]*yaml.Node // for a long mapping; in a short one comparing is faster
	if len(n.Content) > 24 {
		seen = make(map[string]*yaml.Node, len(n.Content)/2)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			x.problem(key, "", "a key is a mapping or a list: keys are plain text")
		case key.Tag == "!!merge":
			if !changed {
				changed = true
				out.add(n.Content[:i])
			}
			x.merge(&out, value)
			continue
		default:
			if first := earlier(n, i, seen); first != nil {
				x.problem(key, "keep one of the two", "key %q is given twice; first in line %d", key.Value, first.Line)
				break
			}
			if changed {
				out.set(key, value)
			}
			continue
		}
		if !changed { // the first pair that is left out
			changed = true
			out.add(n.Content[:i])
		}
	}
	if changed {
		n.Content = out.nodes
	}
}

// merge adds the mappings that a merge key names to the pairs of a mapping.
func (x *expander) merge(out *pairs, merged *yaml.Node) {
	for _, from := range kubeyaml.MergeSources(merged) {
		if from.Kind != yaml.MappingNode {
			x.problem(from, "write <<: *anchor, where the anchor is on a mapping", "only mappings can be merged")
			continue
		}
		out.add(from.Content)
	}
}

// pairs are the keys and values of a mapping that is put together anew.
type pairs struct {
	nodes []*yaml.Node
	at    map[string]int // where in nodes a key is
}

// add sets the keys of another mapping.
func (p *pairs) add(nodes []*yaml.Node) {
	for i := 0; i+1 < len(nodes); i += 2 {
		p.set(nodes[i], nodes[i+1])
	}
}

// set sets a key: in its place, or at the end.
func (p *pairs) set(key, value *yaml.Node) {
	if i, ok := p.at[key.Value]; ok {
		p.nodes[i], p.nodes[i+1] = key, value
		return
	}
	if p.at == nil {
		p.at = make(map[string]int)
	}
	p.at[key.Value] = len(p.nodes)
	p.nodes = append(p.nodes, key, value)
}

// earlier returns the key of a mapping that stands before n.Content[at] and has its
// name, or nil. seen, if it is not nil, holds the keys before, and gets this one.
func earlier(n *yaml.Node, at int, seen map[string]*yaml.Node) *yaml.Node {
	key := n.Content[at]
	if seen != nil {
		first := seen[key.Value]
		if first == nil {
			seen[key.Value] = key
		}
		return first
	}
	for i := 0; i < at; i += 2 {
		if k := n.Content[i]; k.Value == key.Value && k.Kind == yaml.ScalarNode && k.Tag != "!!merge" {
			return k
		}
	}
	return nil
}

// Lookup returns the key and value of a mapping's entry, or nils.
func Lookup(n *yaml.Node, key string) (k, v *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for k, v := range Pairs(n) {
		if k.Value == key {
			return k, v
		}
	}
	return nil, nil
}

// Pairs returns the keys and values of a mapping.
func Pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// Scalars returns the scalars of a value, without the keys of mappings.
func Scalars(n *yaml.Node) iter.Seq[*yaml.Node] {
	return func(yield func(*yaml.Node) bool) { scalars(n, yield) }
}

func scalars(n *yaml.Node, yield func(*yaml.Node) bool) bool {
	if len(n.Content) == 0 {
		return n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode || yield(n)
	}
	for i, item := range n.Content {
		if isKey := n.Kind == yaml.MappingNode && i%2 == 0; !isKey && !scalars(item, yield) {
			return false
		}
	}
	return true
}

// Keys returns the names of the keys of a mapping.
func Keys(n *yaml.Node) []string {
	var keys []string
	for key := range Pairs(n) {
		keys = append(keys, key.Value)
	}
	return keys
}
