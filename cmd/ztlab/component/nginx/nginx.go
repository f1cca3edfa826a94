// Package nginx is the lab's stand-in for the nginx image: a web server that
// answers as nginx does before anyone has configured it, with a welcome page at
// the root and 404 elsewhere. It is not nginx, as its Server header shows
// and on its page.
package nginx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
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

// Run serves container port 80 until ctx ends.
func Run(ctx context.Context, spec container.Spec, report func(container.Report)) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("container port %d: %w", port, err)
	}
	server := &http.Server{Handler: Handler(name(spec.Image)), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	ready := true
	report(container.Report{Listen: map[int]string{port: listener.Addr().String()}, Ready: &ready})
	select {
	case err := <-ended:
		return fmt.Errorf("container port %d: %w", port, err)
	case <-ctx.Done():
	}
	orderly, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if err := server.Shutdown(orderly); err != nil {
		server.Close()
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
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
