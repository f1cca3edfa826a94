package templates

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Choose asks which of the templates is meant; an empty answer is the first. The error is
// io.ErrUnexpectedEOF when the answers end.
func Choose(in *bufio.Reader, out io.Writer, list []Template) (Template, error) {
	for _, t := range list {
		fmt.Fprintf(out, "  %-10s %s\n", t.Name, t.Description)
	}
	for {
		name, err := answer(in, out, "template", list[0].Name)
		if err != nil {
			return Template{}, err
		}
		for _, t := range list {
			if t.Name == name {
				return t, nil
			}
		}
		fmt.Fprintf(out, "there is no template %q\n", name)
	}
}

// Ask asks for the variables that have no value and are not made, and adds the answers to
// the values. An empty answer is the default; without one, it is asked for again.
func (t Template) Ask(in *bufio.Reader, out io.Writer, values map[string]string) error {
	for _, v := range t.Variables {
		if _, given := values[v.Name]; given || v.Made != "" {
			continue
		}
		for {
			value, err := answer(in, out, v.Name+": "+v.Description, v.Default)
			if err != nil {
				return err
			}
			if value != "" {
				if value != v.Default {
					values[v.Name] = value
				}
				break
			}
		}
	}
	return nil
}

func answer(in *bufio.Reader, out io.Writer, question, preset string) (string, error) {
	if preset != "" {
		question += " [" + preset + "]"
	}
	fmt.Fprint(out, question+": ")
	line, err := in.ReadString('\n')
	if errors.Is(err, io.EOF) && line == "" {
		fmt.Fprintln(out)
		return "", io.ErrUnexpectedEOF
	}
	if line = strings.TrimSpace(line); line == "" {
		return preset, nil
	}
	return line, nil
}
