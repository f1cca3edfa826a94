//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// detach is [engine.Env.Detach]: a process in a session of its own, so that
// neither a signal to the run and its process group nor the end of its terminal
// reaches it. It has the run's environment, working directory and standard error,
// and gets all its input through a pipe.
func detach(name string, inherit *os.File) (io.ReadWriteCloser, error) {
	path := "/proc/self/exe" // this very program, even if the file was replaced
	if _, err := os.Stat(path); err != nil {
		if path, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(path, detachedCommand, name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stderr = os.Stderr
	if inherit != nil {
		cmd.ExtraFiles = []*os.File{inherit}
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting a process of its own: %w", err)
	}
	return &detachedProcess{stdout, stdin, cmd}, nil
}

type detachedProcess struct {
	io.Reader
	io.WriteCloser
	cmd *exec.Cmd
}

// Close waits for the process, which ends by itself.
func (p *detachedProcess) Close() error { return errors.Join(p.WriteCloser.Close(), p.cmd.Wait()) }

// ignoreSignals lets nothing but SIGKILL and a crash end this process, and a
// reader that is gone no more than fail a write.
func ignoreSignals() {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)
}
