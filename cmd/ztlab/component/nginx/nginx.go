// Package nginx is the lab's stand-in for the nginx image: a web server that
// answers as nginx does before anyone has configured it, with a welcome page at
// the root and 404 elsewhere. It is not nginx, as its Server header shows
// and on its page.
//
// A file in /etc/nginx/conf.d gives it other ports, TLS with a certificate from a mounted
// Secret, and client certificates. It reads a certificate when it starts, and again when
// the container's command has it reload.
package nginx

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// port is the container port that the image serves.
const port = 80

// drain is how long requests under way may take when the container ends.
const drain = 2 * time.Second

// page is the root's answer. Its title and heading are nginx's, which people look
// for.
const page = `<!DOCTYPE html>
<html lang="en">
<head><title>Welcome to nginx!</title></head>
<body>
<h1>Welcome to nginx!</h1>
<p>This page comes from the stand-in for the nginx image in a ztlab lab.</p>
</body>
</html>
`

// modified is the page's age: it never changes.
var modified = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// etag identifies the page as nginx would: time and size in hexadecimal.
func etag() string { return fmt.Sprintf("\"%x-%x\"", modified.Unix(), len(page)) }

// Handler answers as a fresh nginx does, under the given Server header.
func Handler(server string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", server)
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			plain(w, http.StatusMethodNotAllowed)
		case r.URL.Path == "/" || r.URL.Path == "/index.html":
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("ETag", etag())
			http.ServeContent(w, r, "", modified, strings.NewReader(page))
		default:
			plain(w, http.StatusNotFound)
		}
	})
}

// plain answers with an error's name.
func plain(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	fmt.Fprintf(w, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><title>%s</title></head>\n<body><h1>%s</h1></body>\n</html>\n", title, title)
}

// look is how often a container that reloads looks at its certificates.
const look = 250 * time.Millisecond

// reload is the command of a container that has nginx read its certificates again when
// they change. Without it in the container's command they are read once: the classic
// fault of a certificate in a mounted Secret.
const reload = "nginx -s reload"

// Run serves until ctx ends: container port 80, or as a file in /etc/nginx/conf.d
// configures it.
func Run(ctx context.Context, spec container.Spec, report func(container.Report)) error {
	s, err := configured(spec)
	if err != nil {
		return fmt.Errorf("[emerg] %w", err)
	}
	n := &nginx{site: s, spec: spec, doors: map[int]*door{}}
	if err := n.begin(ctx); err != nil {
		return fmt.Errorf("[emerg] %w", err)
	}
	addresses := map[int]string{}
	ended := make(chan error, len(n.doors))
	for number, d := range n.doors {
		defer d.listener.Close()
		addresses[number] = d.listener.Addr().String()
		go func() { ended <- fmt.Errorf("container port %d: %w", number, d.accept()) }()
	}
	ready := true
	report(container.Report{Listen: addresses, Ready: &ready})
	var changes <-chan time.Time
	if strings.Contains(strings.Join(slices.Concat(spec.Command, spec.Args), " "), reload) {
		ticker := time.NewTicker(look)
		defer ticker.Stop()
		changes = ticker.C
	}
	for {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			n.retire(ctx)
			return nil
		case <-changes:
			if err := n.again(ctx); err != nil {
				slog.Error("reload: the old workers go on", "error", err)
			}
		}
	}
}

// An nginx serves a site at the container's ports.
type nginx struct {
	site  site
	spec  container.Spec
	doors map[int]*door
	shown []byte // the certificate of the present workers
}

// begin starts workers at each port, and listens at first.
func (n *nginx) begin(ctx context.Context) error {
	config, authorities, err := n.site.load(n.spec)
	if err != nil {
		return err
	}
	welcome := Handler(name(n.spec.Image))
	judging := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if why := n.site.refusal(authorities, r.TLS.PeerCertificates); why != "" {
			w.Header().Set("Server", name(n.spec.Image))
			page400(w, why)
			return
		}
		welcome.ServeHTTP(w, r)
	})
	for number, speaksTLS := range n.site.ports {
		d := n.doors[number]
		if d == nil {
			listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
			if err != nil {
				return fmt.Errorf("container port %d: %w", number, err)
			}
			d = &door{listener: listener}
			n.doors[number] = d
		}
		if speaksTLS {
			d.begin(ctx, newGeneration(config.Clone(), judging))
		} else {
			d.begin(ctx, newGeneration(nil, welcome))
		}
	}
	if config != nil {
		n.shown = config.Certificates[0].Certificate[0]
	}
	return nil
}

// again starts new workers if the certificate has changed.
func (n *nginx) again(ctx context.Context) error {
	config, _, err := n.site.load(n.spec)
	if err != nil || config == nil || bytes.Equal(config.Certificates[0].Certificate[0], n.shown) {
		return err
	}
	return n.begin(ctx)
}

func (n *nginx) retire(ctx context.Context) {
	var wg sync.WaitGroup
	for _, d := range n.doors {
		wg.Go(func() { d.newest.Load().retire(ctx) })
	}
	wg.Wait()
}

// page400 answers a client whose certificate is refused.
func page400(w http.ResponseWriter, why string) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, "<html>\n<head><title>400 %s</title></head>\n<body><h1>400 Bad Request</h1>%s</body>\n</html>\n", why, why)
}

// name is the Server header: it names a stand-in and the image's tag.
func name(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	if tag == "" {
		return "nginx-stand-in (ztlab)"
	}
	return "nginx-stand-in/" + tag + " (ztlab)"
}
