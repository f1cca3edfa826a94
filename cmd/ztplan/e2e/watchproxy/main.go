// Command watchproxy stands between APISIX and etcd and silences the watch of one
// worker, as a connection that dies without being closed does
// (apache/apisix#13067): the stream stays open and brings nothing more. It is a
// part of .github/kind, where APISIX is the real one.
//
//	watchproxy serve ETCD   forward :2379 to the URL ETCD
//	watchproxy silence      silence one watch, and each one that takes its place
//	watchproxy thaw         let new watches live again
//	watchproxy status       print watches=N silenced=N returned=N strays=N
//
// The last three ask the one that serves, on the same machine. All workers of an
// APISIX have one address and open equal watches. To know the silenced one when it
// comes back after its time-out, the others are kept from timing out: they are sent
// the line again that says that the watch was created.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	listen  = ":2379"
	control = "127.0.0.1:8379"
)

// Well below the watch_timeout of the gateway in .github/kind, 6 s; and above the
// 3 s that APISIX waits after a watch that could not be opened.
const (
	feed  = time.Second
	quiet = 4 * time.Second
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("watchproxy: ")
	if err := run(os.Args[1:], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(args []string, out io.Writer) error {
	switch {
	case len(args) == 2 && args[0] == "serve":
		upstream, err := url.Parse(args[1])
		if err != nil {
			return err
		}
		return serve(newProxy(upstream, feed, quiet))
	case len(args) == 1 && (args[0] == "silence" || args[0] == "thaw" || args[0] == "status"):
		return ask("http://"+control+"/"+args[0], out)
	}
	return errors.New("usage: watchproxy serve ETCD | silence | thaw | status")
}

func serve(p *proxy) error {
	failed := make(chan error, 2)
	for address, handler := range map[string]http.Handler{listen: p, control: p.control()} {
		server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
		go func() { failed <- server.ListenAndServe() }()
	}
	return <-failed
}

func ask(url string, out io.Writer) error {
	response, err := http.Post(url, "", nil)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	_, err = out.Write(text)
	return err
}
