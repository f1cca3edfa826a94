package e2e

import (
	"io"
	"net"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// down lets a part of the hub be down for ten seconds in mid-wave, while two pods end.
func down(part string, says ...string) func(*trial) string {
	return func(tr *trial) string {
		_, done := tr.start("fleet", "run", tr.file)
		tr.arrive(0, 1)
		tr.arrive(1, 1)
		if _, err := tr.hub.do("kill", part, "--for", "10s"); err != nil {
			tr.t.Fatal(err)
		}
		tr.pass(0, 1, 2)
		o := <-done
		tr.has(o, append(says, "proved: 3 proved")...)
		tr.once(1, 1, 1, 1)
		return "the driver and the pods wait: 3 proved, a pod each"
	}
}

// slowed is a TCP proxy that lets each piece of an answer wait.
func slowed(t testing.TB, to string, wait time.Duration) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			go func() {
				defer server.Close()
				_, _ = io.Copy(server, client)
			}()
			go func() {
				defer client.Close()
				piece := make([]byte, 32<<10)
				for {
					n, err := server.Read(piece)
					timer := time.NewTimer(wait)
					<-timer.C
					if _, werr := client.Write(piece[:n]); err != nil || werr != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// at writes a copy of a member's kubeconfig with another address; the certificate is to be
// the member's all the same.
func (w *world) at(i int, address, file string) {
	w.t.Helper()
	config, err := clientcmd.LoadFromFile(w.members[i].kubeconfig)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, c := range config.Clusters {
		u, err := url.Parse(c.Server)
		if err != nil {
			w.t.Fatal(err)
		}
		c.TLSServerName, c.Server = u.Hostname(), "https://"+address
	}
	if err := clientcmd.WriteToFile(*config, filepath.Join(w.work, file)); err != nil {
		w.t.Fatal(err)
	}
}

// elsewhere is the kubeconfig of a first member that is reached at another address.
const elsewhere = "elsewhere.kubeconfig"

func serverFaults() []fault {
	two := setting{waves: "waves: [{name: all, parallel: 2}]\n"}
	first := setting{waves: onlyAll, server: map[int]string{0: elsewhere}}
	return []fault{
		{"API server of the hub killed for 10 s", false, two, down("apiserver", "the hub does not answer", "the hub answers again")},
		{"etcd of the hub killed for 10 s", false, two, down("etcd")},
		{"job controller of the hub killed for 10 s", false, two, down("controller-manager")},
		{"API server of a member killed in mid-run", false, setting{waves: onlyAll}, func(tr *trial) string {
			_, done := tr.start("fleet", "run", tr.file)
			tr.arrive(0, 1)
			if _, err := tr.members[0].do("kill", "apiserver", "--for", "5s"); err != nil {
				tr.t.Fatal(err)
			}
			tr.pass(0, 1, 2)
			tr.has(<-done, "proved: 3 proved")
			tr.once(1, 1, 1, 1)
			return "the run waits: 3 proved, a pod each"
		}},
		{"member that is slow", false, first, func(tr *trial) string {
			u, err := url.Parse(tr.members[0].server)
			if err != nil {
				tr.t.Fatal(err)
			}
			tr.at(0, slowed(tr.t, u.Host, 300*time.Millisecond), elsewhere)
			tr.pass(0, 1, 2)
			tr.has(tr.do(0, "fleet", "run", tr.file), "proved: 3 proved")
			tr.once(1, 1, 1, 1)
			return "300 ms for each piece of an answer: 3 proved"
		}},
		{"member that is unreachable", false, first, func(tr *trial) string {
			tr.at(0, "127.0.0.1:1", elsewhere)
			tr.pass(0, 1, 2)
			tr.has(tr.do(1, "fleet", "run", tr.file), "failed: member-0", "connection refused", "stopped: 1 failed, 2 held")
			tr.untouched(1, 2)
			u, err := url.Parse(tr.members[0].server)
			if err != nil {
				tr.t.Fatal(err)
			}
			tr.at(0, u.Host, elsewhere)
			tr.has(tr.resume(0), "3 clusters of 3", "proved: 3 proved")
			return "fails, the others are held; reachable again, a resumption: 3 proved"
		}},
	}
}
