package engine

import "path/filepath"

// A File is a path in a plan. Relative paths are relative to the plan's
// directory. Reading a plan fails when a File marked check:"exists" cannot be
// read; secret sinks are Files that need not exist yet.
type File struct {
	Name string // as the plan writes it, for messages
	Path string // absolute

	inputs *Inputs
}

// File returns the file that a plan in dir names. An empty name is no file.
func (in *Inputs) File(dir, name string) File {
	f := File{Name: name, Path: name, inputs: in}
	if name != "" && !filepath.IsAbs(name) {
		f.Path = filepath.Join(dir, name)
	}
	return f
}

// Read returns the content, which must not be changed: see [Inputs.Read]. A File
// that belongs to no plan is read each time.
func (f File) Read() ([]byte, error) { return f.inputs.Read(f.Path) }

// Uncached returns the file as one that is read anew each time: for a credential, which
// others renew.
func (f File) Uncached() File {
	f.inputs = nil
	return f
}

// Exposed returns the reason why others can read or change the file, see [Inputs.Exposed].
func (f File) Exposed() error { return f.inputs.Exposed(f.Path) }

// Place identifies the file among others, whatever symbolic links its path has.
func (f File) Place() string {
	if real, err := filepath.EvalSymlinks(f.Path); err == nil {
		return real
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(f.Path)); err == nil {
		return filepath.Join(dir, filepath.Base(f.Path))
	}
	return filepath.Clean(f.Path)
}

// Equal reports whether both name the same file.
func (f File) Equal(other File) bool { return f.Name == other.Name && f.Path == other.Path }

// String returns the name as the plan writes it.
func (f File) String() string { return f.Name }

// IsZero reports whether no file was given.
func (f File) IsZero() bool { return f.Name == "" }

// MarshalText returns the name.
func (f File) MarshalText() ([]byte, error) { return []byte(f.Name), nil }
