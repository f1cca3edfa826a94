// Package probe measures the TLS certificates that addresses show while they
// change.
//
// A Prober opens a new verified connection with one request to every endpoint at a
// fixed rate, never waits for earlier ones and never resumes a session. It is
// written here because load generators (vegeta, k6, wrk) do not return the verified
// certificate, the time of the handshake and the failure's class of each
// connection, which the verdict needs one by one; see BenchmarkVegeta for the cost.
// Prober.KeepAlive uses connections that were opened before.
//
// A Record sums the samples up by address, and by group: servers that share
// connections. A group's doubt is the chance that one of its servers shows another
// certificate and was not met, see [evidence.Doubt]. Bursts opens connections
// until the doubt is small enough, and a Discovery finds the number of servers.
//
// Prober and its goroutines only deliver to channels. Everything else belongs to
// the goroutine that reads them.
package probe
