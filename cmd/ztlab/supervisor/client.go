package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/ztplan/ztplan/cmd/ztlab/labstate"
)

// ErrDown means that no supervisor runs in the directory.
var ErrDown = errors.New("no lab is up")

// A Client talks to the supervisor of one lab.
type Client struct {
	dir  labstate.Dir
	http *http.Client
}

// NewClient returns a client for the lab in dir, which need not be up.
func NewClient(dir labstate.Dir) *Client {
	var dialer net.Dialer
	return &Client{dir: dir, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", dir.Socket(controlSocket))
		},
	}}}
}

// Status asks the lab how it is. It fails with [ErrDown] when none is up.
func (c *Client) Status(ctx context.Context) (labstate.Status, error) {
	var s labstate.Status
	body, err := c.do(ctx, http.MethodGet, "/status", nil)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, fmt.Errorf("lab status: %w", err)
	}
	return s, nil
}

// askAgain is the time between two questions to a lab that starts.
const askAgain = 50 * time.Millisecond

// WaitStarted is Status, but waits while the lab is starting.
func (c *Client) WaitStarted(ctx context.Context) (s labstate.Status, err error) {
	err = wait.PollUntilContextCancel(ctx, askAgain, true, func(ctx context.Context) (bool, error) {
		s, err = c.Status(ctx)
		return !s.Starting, err
	})
	return s, err
}

// Restart stops the named part and starts it again.
func (c *Client) Restart(ctx context.Context, name string) error {
	_, err := c.do(ctx, http.MethodPost, "/restart", url.Values{"name": {name}})
	return err
}

// Kill ends the named part with SIGKILL. A part of the control plane stays
// down for down.
func (c *Client) Kill(ctx context.Context, name string, down time.Duration) error {
	_, err := c.do(ctx, http.MethodPost, "/kill", url.Values{"name": {name}, "for": {down.String()}})
	return err
}

// Down asks the lab to stop and does not wait.
func (c *Client) Down(ctx context.Context) error {
	_, err := c.do(ctx, http.MethodPost, "/down", nil)
	return err
}

func (c *Client) do(ctx context.Context, method, path string, form url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://ztlab"+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("%s: %w; start one with: ztlab up", c.dir, ErrDown)
		}
		return nil, fmt.Errorf("%s: %w", c.dir, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.dir, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(strings.TrimSpace(string(body)))
	}
	return body, nil
}
