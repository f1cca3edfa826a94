package container

import (
	"context"
	"net"
	"strings"
)

// Unix begins an address that is a Unix socket.
const Unix = "unix:"

// Dial connects to an address of a [Report].
func Dial(ctx context.Context, address string) (net.Conn, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(address, Unix); ok {
		network, address = "unix", path
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}
