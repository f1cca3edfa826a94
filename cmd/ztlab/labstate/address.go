package labstate

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
)

// candidates is how many addresses are tried before giving up.
const candidates = 64

// ClaimAddress picks the loopback address that is the lab's node, and keeps
// other labs of this machine off it until release is called or the process
// ends. It is the address of the last run where that is still free, so that
// recorded addresses stay true.
//
// On Linux all of 127.0.0.0/8 is loopback, so every lab has an address of its
// own and two labs can open the same NodePort. Elsewhere only 127.0.0.1 is
// configured; labs share it and a NodePort can be open in one lab only.
func (d Dir) ClaimAddress() (addr string, release func(), err error) {
	if runtime.GOOS != "linux" {
		return "127.0.0.1", func() {}, nil
	}
	last, err := os.ReadFile(d.addressFile())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", nil, fmt.Errorf("lab address: %w", err)
	}
	var refused error
	for _, a := range d.addresses(strings.TrimSpace(string(last))) {
		release, err := claim(a)
		if err != nil {
			refused = err
			continue
		}
		if err := os.WriteFile(d.addressFile(), []byte(a+"\n"), 0o600); err != nil {
			release()
			return "", nil, fmt.Errorf("lab address: %w", err)
		}
		return a, release, nil
	}
	return "", nil, fmt.Errorf("lab address: no free address in 127.0.0.0/8 after %d tries: %w", candidates, refused)
}

// addresses lists the candidates: last time's first, then some that follow from
// the directory's path.
func (d Dir) addresses(last string) []string {
	var list []string
	if a, err := netip.ParseAddr(last); err == nil && a.IsLoopback() {
		list = append(list, a.String())
	}
	for i := range candidates {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", d, i))
		// 127.64.0.0/10, away from 127.0.0.1, 127.0.1.1 and 127.0.0.53. The
		// last byte is never 0 or 255.
		list = append(list, netip.AddrFrom4([4]byte{127, 64 | sum[0]&0x3f, sum[1], 1 + sum[2]%254}).String())
	}
	return list
}

// claim holds an abstract Unix socket named after the address. Such names
// belong to the network namespace, as loopback addresses do, are seen by all
// users, and vanish with the process (unix(7)).
func claim(addr string) (release func(), err error) {
	probe, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		return nil, err
	}
	probe.Close()
	l, err := net.Listen("unix", "@ztlab/"+addr)
	if err != nil {
		return nil, err
	}
	return func() { l.Close() }, nil
}
