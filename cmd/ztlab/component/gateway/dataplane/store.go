package dataplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// A store holds the objects that the Admin API was given, and stands in for
// etcd: acknowledged objects are in a file and survive a restart.
// The file holds private keys and is readable by its owner alone.
type store struct {
	file    string
	compile func(adminapi.Route) (*route, error)
	changed func(change) // called for each change in turn, with the lock held

	mu       sync.Mutex
	revision int64
	ssls     map[string]stored[adminapi.SSL, *site]
	routes   map[string]stored[adminapi.Route, *route]
	showing  adminapi.Bugs
	fresh    bool // there was no file when the store was opened
}

// stored is an object and its compiled form.
type stored[T, C any] struct {
	Item     adminapi.Item[T]
	compiled C
}

// contents is the file.
type contents struct {
	Revision int64                           `json:"revision"`
	Bugs     adminapi.Bugs                   `json:"bugs"`
	SSLs     []adminapi.Item[adminapi.SSL]   `json:"ssls"`
	Routes   []adminapi.Item[adminapi.Route] `json:"routes"`
}

// openStore reads the store in dir, or begins one.
func openStore(dir string, compile func(adminapi.Route) (*route, error), changed func(change)) (*store, error) {
	s := &store{
		file:    filepath.Join(dir, "config.json"),
		compile: compile,
		changed: changed,
		ssls:    map[string]stored[adminapi.SSL, *site]{},
		routes:  map[string]stored[adminapi.Route, *route]{},
	}
	text, err := os.ReadFile(s.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.fresh = true
	case err != nil:
		return nil, err
	default:
		if err := s.load(text); err != nil {
			return nil, fmt.Errorf("%s: %w: remove the file to begin anew", s.file, err)
		}
	}
	return s, nil
}

func (s *store) load(text []byte) error {
	var c contents
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	s.revision, s.showing = c.Revision, c.Bugs
	for _, item := range c.SSLs {
		compiled, err := newSite(item.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", item.Key, err)
		}
		s.ssls[item.Value.ID] = stored[adminapi.SSL, *site]{item, compiled}
	}
	for _, item := range c.Routes {
		compiled, err := s.compile(item.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", item.Key, err)
		}
		s.routes[item.Value.ID] = stored[adminapi.Route, *route]{item, compiled}
	}
	return nil
}

// contents are the objects in the order of their keys.
func (s *store) contents() []change {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []change
	for _, id := range slices.Sorted(maps.Keys(s.ssls)) {
		found = append(found, change{key: key{adminapi.KindSSL, id}, object: s.ssls[id].compiled, revision: s.revision})
	}
	for _, id := range slices.Sorted(maps.Keys(s.routes)) {
		found = append(found, change{key: key{adminapi.KindRoute, id}, object: s.routes[id].compiled, revision: s.revision})
	}
	return found
}

// bugs are the bugs to show.
func (s *store) bugs() adminapi.Bugs {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.showing
}

// show sets the bugs to show.
func (s *store) show(bugs adminapi.Bugs) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.showing.Equal(bugs) && !s.fresh {
		return nil
	}
	before := s.showing
	s.showing = bugs
	err := s.save()
	if err != nil {
		s.showing = before
	}
	return err
}

// change makes a change to one object and saves it; a change that cannot be saved
// is not made. object is the compiled form, nil for an object that is deleted.
func (s *store) change(of key, object any, do func() (undo func())) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	undo := do()
	if err := s.save(); err != nil {
		undo()
		s.revision--
		return err
	}
	s.changed(change{key: of, object: object, revision: s.revision})
	return nil
}

// save writes the file so that a crash leaves the old or the new one.
func (s *store) save() error {
	c := contents{Revision: s.revision, Bugs: s.showing}
	for _, id := range slices.Sorted(maps.Keys(s.ssls)) {
		c.SSLs = append(c.SSLs, s.ssls[id].Item)
	}
	for _, id := range slices.Sorted(maps.Keys(s.routes)) {
		c.Routes = append(c.Routes, s.routes[id].Item)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(s.file), ".config-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(text)
	if err := errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), s.file); err != nil {
		return err
	}
	s.fresh = false
	return nil
}
