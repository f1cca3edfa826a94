package portforward

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/streaming/pkg/httpstream"
)

// unanswered is a connection that breaks while the reply for a stream is waited for:
// the library waits for it half a minute all the same.
type unanswered struct {
	httpstream.Connection
	lost chan bool
}

func (u unanswered) CreateStream(http.Header) (httpstream.Stream, error) {
	time.Sleep(30 * time.Second)
	return nil, errors.New("timed out")
}

func (u unanswered) CloseChan() <-chan bool { return u.lost }
func (u unanswered) Close() error           { return nil }

func TestDialEndsWithTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pod := Pod{Namespace: "vault", Name: "vault-0"}
		broken := &tunnel{opened: make(chan struct{}), conn: unanswered{lost: make(chan bool)}}
		close(broken.opened)
		d := New(nil, nil)
		d.pods[pod] = broken
		time.AfterFunc(100*time.Millisecond, func() { close(broken.conn.(unanswered).lost) })
		began := time.Now()
		_, err := d.Dial(t.Context(), pod, 8200)
		if took := time.Since(began); !errors.Is(err, io.ErrUnexpectedEOF) || took != 100*time.Millisecond {
			t.Errorf("%v after %s", err, took)
		}
		if d.pods[pod] != nil {
			t.Error("the next stream would be opened on the same connection")
		}
		time.Sleep(30 * time.Second) // until the library gives up
		synctest.Wait()
		if broken.streams != 0 {
			t.Errorf("%d streams are still counted", broken.streams)
		}
	})
}
