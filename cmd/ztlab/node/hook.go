package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// preStop runs a container's preStop hook, and returns when it has ended or ctx
// has. A hook that fails is an event, and does not keep the container from
// ending, as in a cluster.
func (w *worker) preStop(ctx context.Context, pod *corev1.Pod, c *corev1.Container) {
	if c.Lifecycle == nil || c.Lifecycle.PreStop == nil {
		return
	}
	hook := c.Lifecycle.PreStop
	var err error
	switch {
	case hook.Sleep != nil:
		err = sleep(ctx, time.Duration(hook.Sleep.Seconds)*time.Second)
	case hook.Exec != nil:
		err = runHook(ctx, hook.Exec.Command)
	case hook.HTTPGet != nil:
		err = w.getHook(ctx, c, hook.HTTPGet)
	}
	if err != nil {
		w.a.events.Eventf(pod, corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook of container %s failed: %v", c.Name, err)
	}
}

// runHook runs a hook's command. A container of the lab has no programs, so only
// `sleep` is done, alone or in a shell's list of commands; every other program
// counts as one that ended at once, and the error names it. That is right for
// the hooks of charts: they send the signal that comes next anyway.
func runHook(ctx context.Context, command []string) error {
	var missing []error
	for _, words := range commands(command) {
		if words[0] != "sleep" && !strings.HasSuffix(words[0], "/sleep") {
			missing = append(missing, fmt.Errorf("the lab has no program %q", words[0]))
			continue
		}
		d, err := sleepTime(words[1:])
		if err == nil {
			err = sleep(ctx, d)
		}
		if err != nil {
			return errors.Join(append(missing, err)...)
		}
	}
	return errors.Join(missing...)
}

// commands splits a command into simple ones, each with at least one word: the
// list that `sh -c` is given, or the command itself.
func commands(command []string) [][]string {
	if len(command) == 0 {
		return nil
	}
	if shell := command[0][strings.LastIndex(command[0], "/")+1:]; shell != "sh" && shell != "bash" && shell != "ash" {
		return [][]string{command}
	}
	var list [][]string
	for i, arg := range command[1:] {
		if !strings.HasPrefix(arg, "-") || !strings.HasSuffix(arg, "c") || i+2 >= len(command) {
			continue
		}
		script := strings.NewReplacer("&&", "\n", ";", "\n").Replace(command[i+2])
		for line := range strings.Lines(script) {
			if words := strings.Fields(line); len(words) > 0 {
				list = append(list, words)
			}
		}
		return list
	}
	return [][]string{command}
}

// sleepTime reads the arguments of sleep(1): numbers of seconds, or of the unit of
// the suffix.
func sleepTime(args []string) (time.Duration, error) {
	if len(args) == 0 {
		return 0, errors.New("sleep: missing operand")
	}
	var sum time.Duration
	for _, arg := range args {
		number, unit := arg, time.Second
		for suffix, u := range map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour} {
			if rest, ok := strings.CutSuffix(arg, suffix); ok {
				number, unit = rest, u
			}
		}
		n, err := strconv.ParseFloat(number, 64)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("sleep: invalid time interval %q", arg)
		}
		sum += time.Duration(n * float64(unit))
	}
	return sum, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errors.New("the grace period was over before")
	}
}

// getHook sends a hook's request to the pod. As with a kubelet any answer will
// do, and a certificate is not verified.
func (w *worker) getHook(ctx context.Context, c *corev1.Container, get *corev1.HTTPGetAction) error {
	port, err := containerPort(c, get.Port)
	if err != nil {
		return err
	}
	scheme := strings.ToLower(string(get.Scheme))
	if scheme == "" {
		scheme = "http"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		fmt.Sprintf("%s://%s/%s", scheme, net.JoinHostPort(w.ip, strconv.Itoa(port)), strings.TrimPrefix(get.Path, "/")), nil)
	if err != nil {
		return err
	}
	for _, h := range get.HTTPHeaders {
		request.Header.Add(h.Name, h.Value)
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // as the kubelet does
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			target, ok := w.a.Lookup(w.ip, port)
			if !ok {
				return nil, fmt.Errorf("connection refused: nothing listens on port %d", port)
			}
			return container.Dial(ctx, target)
		},
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// containerPort resolves a port that may be given by its name.
func containerPort(c *corev1.Container, port intstr.IntOrString) (int, error) {
	if port.Type == intstr.Int {
		return port.IntValue(), nil
	}
	for _, p := range c.Ports {
		if p.Name == port.StrVal {
			return int(p.ContainerPort), nil
		}
	}
	return 0, fmt.Errorf("container %s has no port %q", c.Name, port.StrVal)
}
