package main

import (
	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
	"github.com/ztplan/ztplan/cmd/ztlab/supervisor"
)

// A labFlag is the value of --lab-dir.
type labFlag struct{ path string }

// find returns the state directory, which need not be there.
func (f *labFlag) find() (labstate.Dir, error) {
	if f.path != "" {
		return labstate.Find(f.path)
	}
	return labstate.Default()
}

// open is find for a lab that is to be started: the directory is made when it is
// not there.
func (f *labFlag) open() (labstate.Dir, error) {
	dir, err := f.find()
	if err != nil {
		return "", err
	}
	return labstate.Open(string(dir))
}

// client returns a client of the lab in the state directory.
func (f *labFlag) client() (*supervisor.Client, labstate.Dir, error) {
	dir, err := f.find()
	if err != nil {
		return nil, "", err
	}
	return supervisor.NewClient(dir), dir, nil
}
