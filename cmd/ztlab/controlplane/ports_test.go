package controlplane

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// The ports of the parts differ, are none that the kernel gives away, and the API
// server's is that of the last time unless something else has it now.
func TestPorts(t *testing.T) {
	dir := t.TempDir()
	p := &Plane{config: Config{Address: "127.0.0.1", WorkDir: dir}}
	choose := func() map[string]string {
		t.Helper()
		addresses, err := p.choosePorts()
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for name, a := range addresses {
			_, text, err := net.SplitHostPort(a)
			port, err2 := strconv.Atoi(text)
			if err != nil || err2 != nil || port < firstPort || port > lastPort || seen[text] {
				t.Errorf("%s has %s", name, a)
			}
			seen[text] = true
		}
		return addresses
	}
	first := choose()
	if again := choose(); again[APIServer] != first[APIServer] {
		t.Errorf("the API server had %s and has %s", first[APIServer], again[APIServer])
	}
	l, err := net.Listen("tcp", first[APIServer])
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if other := choose(); other[APIServer] == first[APIServer] {
		t.Errorf("the API server has %s, which is taken", first[APIServer])
	}
	if _, err := os.Stat(filepath.Join(dir, "apiserver.port")); err != nil {
		t.Error(err)
	}
}
