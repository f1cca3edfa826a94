//go:build unix

package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
	"github.com/ztplan/ztplan/engine"
)

// crashes are ends that nothing in the program can prevent.
var crashes = map[string]func(){
	"panic": func() {
		go panic("planted")
		select {}
	},
	"fatal": func() { // errors that the runtime calls fatal cannot be recovered
		debug.SetMaxStack(1 << 16)
		_ = deeper(0)
	},
	"quit": func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGQUIT)
		select {}
	},
}

//lint:ignore SA5007 It is to overflow the stack.
func deeper(n int) int { return deeper(n+1) + n }

// Go ends a crashed program with 2, which means differences here.
func TestACrashIsNoExitCodeOfOurs(t *testing.T) {
	for name := range crashes {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), roleVariable+"="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatalf("%v\n%s", err, out)
			}
			if status := exit.Sys().(syscall.WaitStatus); !status.Signaled() {
				t.Errorf("exit status %d\n%s", status.ExitStatus(), out)
			}
		})
	}
}

// A panic in a command is a failure with its stack.
func TestPanicInACommandFails(t *testing.T) {
	var stderr bytes.Buffer
	code := execute([]string{"version"}, nil, panicking{}, &stderr)
	if code != cli.Failed || !strings.Contains(stderr.String(), "ztplan: panic: planted\n") || !strings.Contains(stderr.String(), "panicking") ||
		!strings.Contains(stderr.String(), "hint: this is a defect in ztplan") {
		t.Errorf("exit status %d\n%s", code, stderr.String())
	}
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("planted") }

// A reader of events that panics is left out; the run and the other readers go on.
func TestReaderThatPanicsIsLeftOut(t *testing.T) {
	var before, after, said int
	r := readers{say: func(string) { said++ }, list: []func(engine.Event){
		func(engine.Event) { before++ },
		func(engine.Event) { panic("planted") },
		func(engine.Event) { after++ },
	}}
	r.Event(engine.Event{})
	r.Event(engine.Event{})
	if before != 2 || after != 2 || said != 1 || r.err == nil {
		t.Errorf("%d and %d events, said %d times, error %v", before, after, said, r.err)
	}
}
