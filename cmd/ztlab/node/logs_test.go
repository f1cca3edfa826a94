package node

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func newLog(t *testing.T, lines int) (*logs, *logFile) {
	t.Helper()
	l := &logs{dir: t.TempDir()}
	f, err := l.create(filepath.Join(l.dir, "c", "0.log"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range lines {
		f.line(fmt.Appendf(nil, "line %d", i+1))
	}
	return l, f
}

func TestReadLog(t *testing.T) {
	l, f := newLog(t, 5)
	all := logOptions{tail: -1}
	tests := map[string]struct {
		options logOptions
		want    string
	}{
		"all":          {all, "line 1\nline 2\nline 3\nline 4\nline 5\n"},
		"tail":         {logOptions{tail: 2}, "line 4\nline 5\n"},
		"tail of more": {logOptions{tail: 50}, "line 1\nline 2\nline 3\nline 4\nline 5\n"},
		"tail of none": {logOptions{tail: 0}, ""},
		"limit":        {logOptions{tail: -1, limit: 10}, "line 1\nlin"},
		"since later":  {logOptions{tail: -1, since: time.Now().Add(time.Hour)}, ""},
		"since before": {logOptions{tail: 1, since: time.Now().Add(-time.Hour)}, "line 5\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := l.read(t.Context(), f.path, tt.options, &got); err != nil {
				t.Fatal(err)
			}
			if got.String() != tt.want {
				t.Errorf("got %q; want %q", got.String(), tt.want)
			}
		})
	}
	t.Run("timestamps", func(t *testing.T) {
		var got bytes.Buffer
		if err := l.read(t.Context(), f.path, logOptions{tail: 1, timestamps: true}, &got); err != nil {
			t.Fatal(err)
		}
		stamp, rest, _ := strings.Cut(got.String(), " ")
		if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil || rest != "line 5\n" {
			t.Errorf("got %q (%v)", got.String(), err)
		}
	})
	if err := l.read(t.Context(), filepath.Join(l.dir, "none"), all, io.Discard); err == nil {
		t.Error("no error for a log that does not exist")
	}
}

func TestFollowLogUntilTheContainerEnds(t *testing.T) {
	l, f := newLog(t, 1)
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- l.read(t.Context(), f.path, logOptions{tail: -1, follow: true}, w)
		w.Close()
	}()
	buf := make([]byte, 100)
	next := func() string {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	if got := next(); got != "line 1\n" {
		t.Errorf("first: %q", got)
	}
	// The container's output arrives line by line; the last one is not complete.
	f.copyFrom(strings.NewReader("line 2\nline 3"))
	if got := next() + next(); got != "line 2\nline 3\n" {
		t.Errorf("then: %q", got)
	}
	if _, err := r.Read(buf); err != io.EOF {
		t.Errorf("after the end: %v; want EOF", err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLogOptions(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	o, previous, err := parseLogOptions(map[string][]string{"follow": {"true"}, "tailLines": {"3"}, "sinceSeconds": {"60"}, "previous": {"true"}}, now)
	if err != nil || !previous || !o.follow || o.tail != 3 || !o.since.Equal(now.Add(-time.Minute)) {
		t.Errorf("options %+v, previous %v, error %v", o, previous, err)
	}
	if o, _, _ := parseLogOptions(nil, now); o.tail != -1 || !o.since.IsZero() {
		t.Errorf("defaults %+v", o)
	}
	for _, q := range []map[string][]string{{"tailLines": {"x"}}, {"tailLines": {"-1"}}, {"sinceTime": {"yesterday"}}} {
		if _, _, err := parseLogOptions(q, now); err == nil {
			t.Errorf("parseLogOptions(%v): no error", q)
		}
	}
}
