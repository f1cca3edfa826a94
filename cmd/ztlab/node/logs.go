package node

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// logs keeps one file per run of a container, in the format of the container
// runtime interface: time, stream, a tag, the line. They stay when the pod is
// deleted, until the lab is removed.
type logs struct {
	dir string

	mu   sync.Mutex
	open map[string]*logFile // by path, while the container runs
}

// path is the file of one run of a container.
func (l *logs) path(namespace, pod, uid, container string, run int32) string {
	return filepath.Join(l.dir, namespace+"_"+pod+"_"+uid, container, strconv.Itoa(int(run))+".log")
}

// A logFile is the log of a container that runs. Writers may not write
// concurrently.
type logFile struct {
	parent *logs
	path   string
	file   *os.File

	mu     sync.Mutex
	grown  chan struct{} // closed and replaced on every write
	closed bool
}

// create starts the log of a run.
func (l *logs) create(path string) (*logFile, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("container log: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("container log: %w", err)
	}
	log := &logFile{parent: l, path: path, file: f, grown: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[string]*logFile{}
	}
	l.open[path] = log
	return log, nil
}

// line appends one line with the present time.
func (f *logFile) line(text []byte) {
	stamp := time.Now().UTC().Format(time.RFC3339Nano)
	entry := fmt.Appendf(nil, "%s stdout F %s\n", stamp, text)
	if _, err := f.file.Write(entry); err != nil {
		return // a full disk must not stop the container
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.grown)
	f.grown = make(chan struct{})
}

// copyFrom appends the output of r, line by line, until its end, and closes the
// log.
func (f *logFile) copyFrom(r io.Reader) {
	defer f.close()
	b := bufio.NewReader(r)
	for {
		text, err := b.ReadBytes('\n')
		if len(text) > 0 {
			f.line(bytes.TrimSuffix(text, []byte("\n")))
		}
		if err != nil {
			return
		}
	}
}

// close ends the log: followers return once they have read everything.
func (f *logFile) close() {
	f.parent.mu.Lock()
	if f.parent.open[f.path] == f {
		delete(f.parent.open, f.path)
	}
	f.parent.mu.Unlock()
	f.file.Close() // lines are written one by one
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	close(f.grown)
	f.grown = make(chan struct{})
}

// state returns a channel that is closed by the next change, and whether there
// will be one.
func (f *logFile) state() (grown <-chan struct{}, closed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.grown, f.closed
}

// logOptions are those of the pods/log subresource.
type logOptions struct {
	follow     bool
	timestamps bool
	tail       int // lines; negative means all
	limit      int64
	since      time.Time
}

// read writes the log at path to w. It returns when everything has been written
// and, when it follows, the container has ended or ctx is done.
func (l *logs) read(ctx context.Context, path string, o logOptions, w io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("the container has not logged anything")
		}
		return err
	}
	defer f.Close()
	l.mu.Lock()
	running := l.open[path]
	l.mu.Unlock()

	out := &logWriter{options: o, w: w}
	if o.tail >= 0 {
		if err := seekTail(f, o.tail); err != nil {
			return err
		}
	}
	r := bufio.NewReader(f)
	var rest []byte
	for {
		var grown <-chan struct{}
		closed := true
		if running != nil {
			grown, closed = running.state() // before reading: nothing is missed
		}
		for {
			text, err := r.ReadBytes('\n')
			rest = append(rest, text...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			if done, err := out.entry(rest); err != nil || done {
				return err
			}
			rest = rest[:0]
		}
		if closed || !o.follow {
			return nil
		}
		if flusher, ok := w.(interface{ Flush() }); ok {
			flusher.Flush()
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil
		}
	}
}

// A logWriter writes the wanted part of a log.
type logWriter struct {
	options logOptions
	w       io.Writer
	written int64
}

// entry writes one entry. It reports whether the limit of bytes was reached.
func (l *logWriter) entry(entry []byte) (done bool, err error) {
	stamp, rest, ok := bytes.Cut(entry, []byte(" "))
	if !ok {
		return false, nil
	}
	if !l.options.since.IsZero() {
		if t, err := time.Parse(time.RFC3339Nano, string(stamp)); err == nil && t.Before(l.options.since) {
			return false, nil
		}
	}
	_, rest, _ = bytes.Cut(rest, []byte(" ")) // stream
	_, rest, _ = bytes.Cut(rest, []byte(" ")) // tag
	if l.options.timestamps {
		rest = append(append(bytes.Clone(stamp), ' '), rest...)
	}
	if limit := l.options.limit; limit > 0 && l.written+int64(len(rest)) >= limit {
		_, err := l.w.Write(rest[:limit-l.written])
		return true, err
	}
	n, err := l.w.Write(rest)
	l.written += int64(n)
	return false, err
}

// seekTail moves f to the start of its last n lines.
func seekTail(f *os.File, n int) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	const block = 32 << 10
	buf := make([]byte, block)
	lines := 0
	for pos := end; pos > 0; {
		size := min(block, pos)
		pos -= size
		if _, err := f.ReadAt(buf[:size], pos); err != nil {
			return err
		}
		for i := size - 1; i >= 0; i-- {
			if buf[i] != '\n' || pos+i == end-1 {
				continue
			}
			if lines++; lines == n {
				_, err := f.Seek(pos+i+1, io.SeekStart)
				return err
			}
		}
	}
	start := int64(0)
	if n == 0 {
		start = end
	}
	_, err = f.Seek(start, io.SeekStart)
	return err
}
