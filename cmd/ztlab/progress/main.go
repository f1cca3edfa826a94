// Command progress runs "go build -v" with its arguments, in the directory of one
// command, and shows how many packages are compiled of how many: a first build of
// the lab takes minutes, in which the go command prints nothing. A build that
// compiles a few packages only stays silent.
//
// The go command's errors and lines about downloads are passed on, and its exit
// code is that of this command.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
)

func main() {
	out := &printer{w: os.Stderr}
	if info, err := os.Stderr.Stat(); err == nil {
		out.terminal = info.Mode()&os.ModeCharDevice != 0
	}
	code, err := build(os.Args[1:], &meter{out: out, many: 100, intro: intro, stale: stale})
	out.end()
	if err != nil {
		fmt.Fprintln(os.Stderr, "progress:", err)
	}
	os.Exit(code)
}

// importPath is a line of the go command's that names the package that it compiles.
// Errors have spaces or colons.
var importPath = regexp.MustCompile(`^[\w.~/@+-]+$`)

// build runs go build -v with args, and returns its exit code. An error means that it
// could not be run.
func build(args []string, m *meter) (int, error) {
	cmd := exec.Command("go", append([]string{"build", "-v"}, args...)...)
	cmd.Stdout = os.Stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return 1, err
	}
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		if text := strings.TrimSuffix(line, "\n"); importPath.MatchString(text) {
			m.compiles(text)
		} else {
			m.out.pass(line)
		}
		if err != nil {
			break
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

// stale returns the packages of the command in this directory, the command itself
// included, that the build cache does not have.
func stale() ([]string, error) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", ".").Output()
	return strings.Fields(string(out)), err
}

// A printer writes lines, and on a terminal one line that is overwritten.
type printer struct {
	w        io.Writer
	terminal bool
	open     bool // the last line has no end yet
}

// pass writes text as it is.
func (p *printer) pass(text string) {
	if text == "" {
		return
	}
	p.end()
	io.WriteString(p.w, text)
}

// status writes a line that the next status overwrites on a terminal.
func (p *printer) status(text string) {
	if !p.terminal {
		fmt.Fprintln(p.w, text)
		return
	}
	fmt.Fprintf(p.w, "\r%s\x1b[K", text)
	p.open = true
}

// end ends a line that was to be overwritten.
func (p *printer) end() {
	if p.open {
		fmt.Fprintln(p.w)
		p.open = false
	}
}
