package main

import (
	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
	"github.com/ztplan/ztplan/cmd/ztlab/supervisor"
)

// A labFlag is the value of --lab-dir.
type labFlag struct{ path string }

// open returns the state directory, making it when it is not there.
func (f *labFlag) open() (labstate.Dir, error) {
	if f.path != "" {
		return labstate.Open(f.path)
	}
	dir, err := labstate.Default()
	if err != nil {
		return "", err
	}
	return labstate.Open(string(dir))
}

// client returns a client of the lab in the state directory.
func (f *labFlag) client() (*supervisor.Client, labstate.Dir, error) {
	dir, err := f.open()
	if err != nil {
		return nil, "", err
	}
	return supervisor.NewClient(dir), dir, nil
}
