package nodeport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/ztplan/ztplan/cmd/ztlab/nodeport"
)

// A switchboard leads every Service to the current server.
type switchboard struct{ addr atomic.Value }

func (s *switchboard) DialService(ctx context.Context, _ *corev1.Service, _ corev1.ServicePort) (net.Conn, error) {
	addr, _ := s.addr.Load().(string)
	if addr == "" {
		return nil, errors.New("no endpoints")
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// echo answers each line with its name and the line.
func echo(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 64)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					fmt.Fprintf(conn, "%s %s", name, buf[:n])
				}
			}()
		}
	}()
	return l.Addr().String()
}

func say(t *testing.T, conn net.Conn, word string) string {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, word); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// node is the address of the node ports. On Linux it is one that no other program uses:
// a port that is free there stays it.
func node() string {
	if runtime.GOOS == "linux" {
		return "127.7.7.7"
	}
	return "127.0.0.1"
}

// freePort returns a port without a listener.
func freePort(t *testing.T) int32 {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(node(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return int32(l.Addr().(*net.TCPAddr).Port)
}

func service(number int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ingress-apisix", Name: "apisix-gateway"},
		Spec: corev1.ServiceSpec{
			Type:  corev1.ServiceTypeNodePort,
			Ports: []corev1.ServicePort{{Name: "tls", Port: 443, NodePort: number}},
		},
	}
}

type forwarder struct {
	*nodeport.Forwarder
	client *fake.Clientset
	board  *switchboard
	logged chan string
}

func start(t *testing.T) *forwarder {
	t.Helper()
	f := &forwarder{client: fake.NewClientset(), board: new(switchboard), logged: make(chan string, 100)}
	factory := informers.NewSharedInformerFactory(f.client, 0)
	var err error
	f.Forwarder, err = nodeport.New(node(), f.board, factory, func(format string, args ...any) {
		f.logged <- fmt.Sprintf(format, args...)
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	done := make(chan struct{})
	go func() { f.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

// await returns when the forwarder logs a message that holds text.
func (f *forwarder) await(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case line := <-f.logged:
			if strings.Contains(line, text) {
				return
			}
		case <-timeout:
			t.Fatalf("nothing was logged that holds %q", text)
		}
	}
}

func TestEndpointsChangeAndConnectionsStay(t *testing.T) {
	f := start(t)
	number := freePort(t)
	f.board.addr.Store(echo(t, "old"))
	svc, err := f.client.CoreV1().Services("ingress-apisix").Create(t.Context(), service(number), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.await(t, "leads to service ingress-apisix/apisix-gateway port 443")
	addr := net.JoinHostPort(node(), strconv.Itoa(int(number)))
	first, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if got, want := say(t, first, "one"), "old one"; got != want {
		t.Errorf("answer = %q, want %q", got, want)
	}

	f.board.addr.Store(echo(t, "new"))
	second, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got, want := say(t, second, "two"), "new two"; got != want {
		t.Errorf("a connection made after the change: %q, want %q", got, want)
	}
	if got, want := say(t, first, "three"), "old three"; got != want {
		t.Errorf("a connection made before the change: %q, want %q", got, want)
	}

	if err := f.client.CoreV1().Services(svc.Namespace).Delete(t.Context(), svc.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await(t, "closed")
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("the port is still open after its service was deleted")
	}
	if got, want := say(t, first, "four"), "old four"; got != want {
		t.Errorf("a connection that outlives its service: %q, want %q", got, want)
	}
}

func TestNoEndpointsResets(t *testing.T) {
	f := start(t)
	number := freePort(t)
	if _, err := f.client.CoreV1().Services("ingress-apisix").Create(t.Context(), service(number), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await(t, "leads to")
	conn, err := net.Dial("tcp", net.JoinHostPort(node(), strconv.Itoa(int(number))))
	if err == nil {
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		_, err = conn.Read(make([]byte, 1))
	}
	// The reset can come before Dial has returned.
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a client of a service without endpoints sees %v, want a reset", err)
	}
}

func TestPortThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", net.JoinHostPort(node(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	number := int32(l.Addr().(*net.TCPAddr).Port)
	f := start(t)
	if _, err := f.client.CoreV1().Services("ingress-apisix").Create(t.Context(), service(number), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await(t, "cannot be opened")
	problems := f.Problems()
	if len(problems) != 1 || !strings.Contains(problems[0], "another program holds it") {
		t.Errorf("problems = %q, want one that says who is in the way", problems)
	}
	// It is opened as soon as it is free.
	l.Close()
	f.await(t, "leads to")
	if problems := f.Problems(); len(problems) != 0 {
		t.Errorf("problems = %q, want none once the port is open", problems)
	}
}
