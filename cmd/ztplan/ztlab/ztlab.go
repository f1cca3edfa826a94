// Package ztlab finds and drives the ztlab binary, the embedded lab. The lab
// is a process and never a package of this program: tests run the binary that
// users have.
package ztlab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNotFound is returned when there is no ztlab binary.
var ErrNotFound = errors.New("the lab's binary, ztlab, is neither beside ztplan nor on PATH")

// Find returns the path of ztlab: beside this program's executable, else on
// PATH.
func Find() (string, error) {
	if self, err := os.Executable(); err == nil {
		if self, err = filepath.EvalSymlinks(self); err == nil {
			beside := filepath.Join(filepath.Dir(self), "ztlab")
			if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return beside, nil
			}
		}
	}
	path, err := exec.LookPath("ztlab")
	if err != nil {
		return "", ErrNotFound
	}
	return path, nil
}

// A Status is the part of "ztlab status --output json" that ztplan needs.
type Status struct {
	Ready      bool              `json:"ready"`
	Message    string            `json:"message"`
	Dir        string            `json:"dir"`
	PID        int               `json:"pid"`
	Kubeconfig string            `json:"kubeconfig"`
	Address    string            `json:"address"`
	Mirrors    map[string]string `json:"mirrors"`
	Simulated  []string          `json:"simulated"`
	Versions   map[string]string `json:"versions"`
	Problems   []string          `json:"problems"`
	Components []struct {
		Name string `json:"name"`
	} `json:"components"`
}

// A Binary is a ztlab binary together with the state directory it works on.
type Binary struct {
	Path string
	Dir  string // empty means ztlab's own default
}

func (b Binary) args(args ...string) []string {
	if b.Dir != "" {
		args = append(args, "--lab-dir", b.Dir)
	}
	return args
}

// Status asks for the state of the lab; Ready is false when it is not up.
func (b Binary) Status(ctx context.Context) (Status, error) {
	return b.status(ctx, "status", "--output", "json")
}

// Up starts a lab that outlives this program, unless it is up already.
func (b Binary) Up(ctx context.Context, args ...string) (Status, error) {
	return b.status(ctx, append([]string{"up", "--output", "json"}, args...)...)
}

func (b Binary) status(ctx context.Context, args ...string) (Status, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, b.Path, b.args(args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var s Status
	if jerr := json.Unmarshal(out.Bytes(), &s); jerr != nil {
		text := strings.TrimSpace(errs.String())
		if text == "" {
			text = fmt.Sprint(err)
		}
		return s, fmt.Errorf("ztlab %s: %s", args[0], strings.TrimPrefix(text, "ztlab: "))
	}
	return s, nil
}

// An Owned is a lab that ends with this program, also when that is killed.
type Owned struct {
	Status Status
	cmd    *exec.Cmd
	hold   io.Closer // the lab ends when this is closed, or this process ends
	log    *os.File
}

// Start starts a lab and returns when it is ready.
func (b Binary) Start(ctx context.Context, args ...string) (*Owned, error) {
	cmd := exec.Command(b.Path, b.args(append([]string{"serve", "--parent-pipe", "--output", "json"}, args...)...)...)
	ownSession(cmd) // Ctrl-C is for ztplan: it ends the lab when the run is over
	hold, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("ztlab: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("ztlab: %w", err)
	}
	log, err := os.CreateTemp("", "ztlab-*.log")
	if err != nil {
		return nil, fmt.Errorf("ztlab: log: %w", err)
	}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("ztlab: %w", err), os.Remove(log.Name()))
	}
	o := &Owned{cmd: cmd, hold: hold, log: log}
	stop := context.AfterFunc(ctx, func() { _ = hold.Close() })
	defer stop()
	line, rerr := bufio.NewReader(out).ReadBytes('\n')
	if rerr == nil {
		rerr = json.Unmarshal(line, &o.Status)
	}
	if rerr != nil || !o.Status.Ready {
		_ = hold.Close()
		_ = cmd.Wait()
		tail := tailOf(log.Name())
		_ = log.Close()
		_ = os.Remove(log.Name())
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("ztlab: the lab did not become ready: %s%s", o.Status.Message, tail)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return o, nil
}

// Stop ends the lab and waits until nothing of it is left.
func (o *Owned) Stop() error {
	_ = o.hold.Close()
	err := o.cmd.Wait()
	if cerr := o.log.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("ztlab: stopping: %w%s", err, tailOf(o.log.Name()))
	}
	return os.Remove(o.log.Name())
}

// tailOf returns the last lines of a log, for an error.
func tailOf(name string) string {
	const most = 5
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	lines = lines[max(0, len(lines)-most):]
	return "\n  " + strings.Join(lines, "\n  ")
}
