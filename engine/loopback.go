package engine

import (
	"net"
	"strings"
)

// Loopback reports whether host, with or without a port, is this machine: localhost or
// an address of its loopback interface. No name is resolved.
func Loopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return host == "localhost" || net.ParseIP(strings.Trim(host, "[]")).IsLoopback()
}
