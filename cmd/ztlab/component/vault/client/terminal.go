package client

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// content reads a file of the container, or standard input for "-".
func (s *session) content(name string) (string, error) {
	if name != "-" {
		file, err := s.file(name)
		if err != nil {
			return "", err
		}
		data, err := os.ReadFile(file)
		return string(data), err
	}
	if s.Stdin == nil {
		return "", errors.New("no standard input: use kubectl exec -i")
	}
	data, err := io.ReadAll(s.Stdin)
	return string(data), err
}

// file returns where a file of the container is on the host. A container of the lab
// has the files that are mounted, and no others.
func (s *session) file(name string) (string, error) {
	clean := path.Clean(name)
	for mount, dir := range s.Mounts {
		if rest, ok := strings.CutPrefix(clean, strings.TrimSuffix(mount, "/")+"/"); ok {
			return filepath.Join(dir, filepath.FromSlash(rest)), nil
		}
	}
	return "", fmt.Errorf("open %s: no such file: a container of the lab has only what is mounted into it; use - and standard input (kubectl exec -i)", name)
}

// hostFiles replaces the container's files in K=@FILE and @FILE by those of the host.
func (s *session) hostFiles(args []string) ([]string, error) {
	var list []string
	for _, arg := range args {
		key, name, ok := strings.Cut(arg, "@")
		if ok && (key == "" || strings.HasSuffix(key, "=") && strings.Count(key, "=") == 1) {
			file, err := s.file(name)
			if err != nil {
				return nil, err
			}
			arg = key + "@" + file
		}
		list = append(list, arg)
	}
	return list, nil
}

// Keys of a terminal in raw mode, which kubectl makes of the caller's with -t.
const (
	interrupt, endOfInput, backspace, erase = 0x03, 0x04, 0x08, 0x7f
)

// hidden reads a line from the terminal and shows nothing of it.
func (s *session) hidden() (string, error) {
	var line []byte
	key := make([]byte, 1)
	for {
		if _, err := io.ReadFull(s.Stdin, key); err != nil {
			return "", err
		}
		switch key[0] {
		case '\r', '\n', endOfInput:
			return string(line), nil
		case interrupt:
			return "", errors.New("interrupted")
		case backspace, erase:
			line = line[:max(len(line)-1, 0)]
		default:
			line = append(line, key[0])
		}
	}
}
