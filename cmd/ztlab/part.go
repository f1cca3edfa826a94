package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/ztplan/ztplan/cmd/ztlab/controlplane"
	"github.com/ztplan/ztplan/cmd/ztlab/process"
)

// runPart is the child's side of "ztlab component NAME". Its standard input is
// a pipe that the supervisor holds: no part outlives its lab.
func runPart(name string, args []string) int {
	err := startPart(name, args)
	if err == nil || errors.Is(err, context.Canceled) {
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
	return 1
}

func startPart(name string, args []string) error {
	if c, ok := containers()[name]; ok {
		return process.RunComponent(c.run)
	}
	program, ok := controlplane.Programs()[name]
	if !ok {
		return errors.New("no such component; components are started by the lab, not by hand")
	}
	if controlplane.HandlesSignals(name) {
		process.TerminateWith(os.Stdin)
		return program(context.Background(), args)
	}
	ctx, cancel := process.Context(os.Stdin)
	defer cancel()
	return program(ctx, args)
}
