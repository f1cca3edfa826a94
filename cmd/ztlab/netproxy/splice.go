package netproxy

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"sync"
)

// Splice copies between two connections until both directions are done, then
// closes both. The end of one direction is passed on as such: a client that
// has sent its request still gets its answer.
func Splice(a, b net.Conn) {
	var wg sync.WaitGroup
	wg.Go(func() { oneWay(a, b) })
	wg.Go(func() { oneWay(b, a) })
	wg.Wait()
	a.Close()
	b.Close()
}

func oneWay(dst, src net.Conn) {
	_, err := io.Copy(dst, src)
	half, ok := dst.(interface{ CloseWrite() error })
	if err != nil || !ok {
		// A broken direction ends both: the other end must notice.
		dst.Close()
		src.Close()
		return
	}
	_ = half.CloseWrite()
}

// ListenUnix opens a Unix socket, replacing one that a killed process left.
// The caller holds the lab's lock, so no process listens on it.
func ListenUnix(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", path)
}
