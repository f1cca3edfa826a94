package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// MaxInput is how many bytes of a file are read as an input: a plan, variables,
// manifests, values, keys. Larger files are refused.
const MaxInput = 16 << 20

// Inputs are the files that one invocation is given. Each is read once: the bytes that were
// checked are hashed, applied and recorded, even if the file changes
// meanwhile. A file that could not be read is read again when it is asked for
// again.
//
// The nil Inputs keep nothing and read the file each time. Inputs may be used
// from several goroutines. Their results must not be changed.
type Inputs struct {
	until context.Context

	mu   sync.Mutex
	read map[inputKey]any
}

// An inputKey is an absolute path, and the type of the value read there.
type inputKey struct {
	path string
	as   reflect.Type
}

// An input is a file as it was read.
type input struct {
	data []byte
	mode fs.FileMode
}

// NewInputs returns Inputs that have read nothing. The end of until ends waiting
// for a pipe.
func NewInputs(until context.Context) *Inputs {
	return &Inputs{until: until, read: make(map[inputKey]any)}
}

// Read returns the content of a file of at most [MaxInput] bytes. A pipe, a
// device, and everything else that is no regular file is refused without reading
// it. Errors are of type [*fs.PathError].
func (in *Inputs) Read(path string) ([]byte, error) {
	f, err := ReadOnce(in, path, func() (input, error) { return readRegular(path, MaxInput) })
	return f.data, err
}

// ReadGiven is Read for a file that the command line names, which may be a pipe:
// --var-file <(command). It is read to its end, or until the context of the
// Inputs ends.
func (in *Inputs) ReadGiven(path string) ([]byte, error) {
	f, err := ReadOnce(in, path, func() (input, error) {
		info, err := os.Stat(path)
		if err != nil || info.Mode()&fs.ModeNamedPipe == 0 {
			return readRegular(path, MaxInput)
		}
		data, err := in.readPipe(path)
		return input{data, info.Mode()}, err
	})
	return f.data, err
}

// Exposed reports that others may read or change a file that was read: its error is
// the reason not to take a secret from it. It is nil for a pipe.
func (in *Inputs) Exposed(path string) error {
	f, err := ReadOnce(in, path, func() (input, error) { return readRegular(path, MaxInput) })
	if err != nil {
		return err
	}
	if open := f.mode.Perm() & 0o077; open == 0 || !f.mode.IsRegular() {
		return nil
	}
	return WithHint(fmt.Errorf("%s is open to others (mode %04o)", path, f.mode.Perm()),
		"chmod 600 "+path+", and consider whom its content has reached")
}

// ReadOnce returns the result of the first read of a path that succeeded.
func ReadOnce[T any](in *Inputs, path string, read func() (T, error)) (T, error) {
	if in == nil {
		return read()
	}
	var zero T
	abs, err := filepath.Abs(path)
	if err != nil {
		return zero, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	key := inputKey{abs, reflect.TypeFor[T]()}
	if known, ok := in.read[key]; ok {
		return known.(T), nil
	}
	v, err := read()
	if err != nil {
		return zero, err
	}
	in.read[key] = v
	return v, nil
}

// ReadFile returns the content of a regular file of at most limit bytes, for
// files that are no inputs of a plan. It is refused as [Inputs.Read] refuses.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := readRegular(path, limit)
	return f.data, err
}

func readRegular(path string, limit int64) (input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return input{}, err
	}
	if err := regular(path, info, limit); err != nil {
		return input{}, err
	}
	// A former file may be a pipe by now: opening one would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return input{}, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return input{}, err
	}
	if err := regular(path, info, limit); err != nil {
		return input{}, err
	}
	data, err := readBounded(path, f, limit)
	return input{data, info.Mode()}, err
}

func regular(path string, info fs.FileInfo, limit int64) error {
	mode := info.Mode()
	switch {
	case mode.IsDir():
		return &fs.PathError{Op: "read", Path: path, Err: errors.New("is a directory")}
	case mode&fs.ModeNamedPipe != 0:
		return &fs.PathError{Op: "read", Path: path, Err: errors.New("is a pipe: only a regular file is read here")}
	case !mode.IsRegular():
		return &fs.PathError{Op: "read", Path: path, Err: errors.New("is a device or a socket: only a regular file is read here")}
	case info.Size() > limit:
		return tooLarge(path, fmt.Sprintf("has %d bytes", info.Size()), limit)
	}
	return nil
}

func tooLarge(path, size string, limit int64) error {
	return &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%s, and at most %d (%d MiB) are read", size, limit, limit>>20)}
}

func readBounded(path string, r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = tooLarge(path, fmt.Sprintf("has more than %d bytes", limit), limit)
	}
	return data, err
}

// readPipe reads a pipe to its end. Opening one waits for a writer, so both
// happen where they can be left behind.
func (in *Inputs) readPipe(path string) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		r.err = Try(func() error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			r.data, err = readBounded(path, f, MaxInput)
			return err
		})
		done <- r
	}()
	until := context.Background()
	if in != nil {
		until = in.until
	}
	select {
	case r := <-done:
		return r.data, r.err
	case <-until.Done():
		return nil, &fs.PathError{Op: "read", Path: path, Err: context.Cause(until)}
	}
}

// A FolderReader is a spec that reads a folder, or a file that no field of type
// [File] names: a directory beside the plan.
type FolderReader interface {
	// Folders returns the SHA-256 (hex) of the content of each, by the name that
	// the plan gives it. A folder that cannot be read is left out.
	Folders(env *Env) map[string]string
}

// A PathHolder is a spec with paths that no field of type [File] holds, such as an input that
// is a directory in some cases only.
type PathHolder interface {
	// ResolvePaths replaces each of these paths with the result of resolve: a path relative to
	// the directory of the plan, or an absolute one.
	ResolvePaths(resolve func(path string) string)
}

// ResolveFiles sets the path of each file in spec, a pointer, that has only a name: a
// default of its kind. file returns the file of a name.
func ResolveFiles(spec any, file func(name string) File) {
	walk(reflect.ValueOf(spec), reflect.StructField{}, func(v reflect.Value, _ reflect.StructField) bool {
		if v.Type() != fileType {
			return true
		}
		if f := v.Interface().(File); f.Name != "" && f.Path == "" && v.CanSet() {
			v.Set(reflect.ValueOf(file(f.Name)))
		}
		return false
	})
}

// InputFiles returns the files that a spec reads, sorted by name and each once:
// those marked check:"exists". Files that a step writes, or that need not exist,
// are not among them.
func InputFiles(spec any) []File {
	files := make(map[string]File)
	walk(reflect.ValueOf(spec), reflect.StructField{}, func(v reflect.Value, field reflect.StructField) bool {
		if v.Type() != fileType {
			return true
		}
		if f := v.Interface().(File); !f.IsZero() && slices.Contains(strings.Split(field.Tag.Get("check"), ","), "exists") {
			files[f.Name] = f
		}
		return false
	})
	out := slices.Collect(maps.Values(files))
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return out
}
