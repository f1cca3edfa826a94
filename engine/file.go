package engine

// A File is a path in a plan. Relative paths are relative to the plan's
// directory. Reading a plan fails when a File marked check:"exists" does not
// exist; secret sinks are Files that need not exist yet.
type File struct {
	Name string // as the plan writes it, for messages
	Path string // absolute
}

// String returns the name as the plan writes it.
func (f File) String() string { return f.Name }

// IsZero reports whether no file was given.
func (f File) IsZero() bool { return f.Name == "" }

// MarshalText returns the name.
func (f File) MarshalText() ([]byte, error) { return []byte(f.Name), nil }
