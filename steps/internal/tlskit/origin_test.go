package tlskit

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// The advice when nothing answers follows from the origin of the address, and
// remarks on other operating systems are left out.
func TestHintsOfAddresses(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for from, want := range map[origin]string{fromPlan: "in the plan", fromNodePort: "node port", fromTunnel: "port of its Service"} {
		if hint := newDialFailure("a", fmt.Errorf("dial: %w", refused), from).Hint; !strings.Contains(hint, want) {
			t.Errorf("refused, %d: %q", from, hint)
		}
	}
	for _, c := range []struct {
		from         origin
		system, want string
	}{
		{fromNodePort, "darwin", "extraPortMappings"},
		{fromNodePort, "linux", "firewall"},
		{fromPlan, "darwin", "address in the plan"},
		{fromTunnel, "windows", "network policy"},
	} {
		hint := c.from.unanswered(c.system)
		if !strings.Contains(hint, c.want) || strings.Contains(hint, "macOS") != (c.want == "extraPortMappings") {
			t.Errorf("unanswered, %d on %s: %q", c.from, c.system, hint)
		}
	}
}
