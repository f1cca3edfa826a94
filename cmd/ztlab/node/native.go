package node

import (
	"fmt"
	"maps"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
	"github.com/ztplan/ztplan/cmd/ztlab/process"
)

// A Native is the real program of an image. It runs without knowing of the lab:
// nothing but its arguments, its environment and its signals reaches it.
//
// It sees the host's file system. So a path of the container is replaced by the
// host's path in every argument and every variable's value; a path that is written
// into the program, such as that of the ServiceAccount's token, is not found.
type Native struct {
	// File is the program on the host. While it is missing the container waits, as
	// with an image that cannot be pulled.
	File string
	// Entrypoint and WorkingDir are the image's.
	Entrypoint, WorkingDir string
}

// A startError is a start that failed for a reason that a container runtime has.
type startError struct {
	reason string
	err    error
}

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// Reasons of a container's state, as in the kubelet.
const (
	reasonPull  = "ErrImagePull" // it is tried again
	reasonStart = "StartError"   // the run has ended with exit code 128
)

// nativeProcess returns the process of a container that runs a program of its own.
func (w *worker) nativeProcess(c *cont, n Native, spec container.Spec) (process.Spec, error) {
	if _, err := exec.LookPath(n.File); err != nil {
		return process.Spec{}, &startError{reasonPull, fmt.Errorf(
			"image %s: the lab runs the program %s for it: %w; build %s and put it there", spec.Image, n.File, err, path.Base(n.File))}
	}
	args := spec.Args
	if len(spec.Command) > 0 {
		if name := spec.Command[0]; name != n.Entrypoint && name != path.Base(n.Entrypoint) {
			return process.Spec{}, &startError{reasonStart, fmt.Errorf(
				"exec: %q: image %s has no program but %s", name, spec.Image, n.Entrypoint)}
		}
		args = slices.Concat(spec.Command[1:], spec.Args)
	}
	paths := maps.Clone(spec.Mounts)
	if file := c.spec.TerminationMessagePath; file != "" {
		paths[path.Clean(file)] = w.messageFile(c)
	}
	host := newHostPaths(paths)
	// The container's own variables win. A Go program goes to loopback addresses
	// directly, whatever proxy is set.
	env := append(processEnvironment(spec.Dir), "HTTP_PROXY="+spec.Proxy, "HTTPS_PROXY="+spec.Proxy)
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		env = append(env, name+"="+host.translate(spec.Env[name]))
	}
	translated := make([]string, len(args))
	for i, arg := range args {
		translated[i] = host.translate(arg)
	}
	dir := c.spec.WorkingDir
	if dir == "" {
		dir = n.WorkingDir
	}
	if mounted := host.translate(dir); mounted != dir {
		dir = mounted
	} else {
		dir = spec.Dir
	}
	return process.Spec{Path: n.File, Args: translated, Env: env, Dir: dir, Foreign: true}, nil
}

// hostPaths replaces paths of a container by paths of the host.
type hostPaths struct {
	mounts []string // the longest first
	host   map[string]string
}

func newHostPaths(mounts map[string]string) hostPaths {
	list := slices.SortedFunc(maps.Keys(mounts), func(a, b string) int { return len(b) - len(a) })
	return hostPaths{list, mounts}
}

// pathSeparators may stand before and behind a path in an argument or a value.
const pathSeparators = "=,:"

// translate replaces every mount path that begins the text or stands behind a
// separator, and that is followed by a slash, a separator or the end.
func (p hostPaths) translate(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		mount := ""
		if i == 0 || strings.IndexByte(pathSeparators, text[i-1]) >= 0 {
			mount = p.begins(text[i:])
		}
		if mount == "" {
			b.WriteByte(text[i])
			i++
			continue
		}
		b.WriteString(p.host[mount])
		i += len(mount)
	}
	return b.String()
}

// begins returns the mount path with which text begins, or "".
func (p hostPaths) begins(text string) string {
	for _, mount := range p.mounts {
		rest, ok := strings.CutPrefix(text, mount)
		if ok && (rest == "" || strings.IndexByte("/"+pathSeparators, rest[0]) >= 0) {
			return mount
		}
	}
	return ""
}
