package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/e2e/faultproxy"
)

// Moments of Vault's initialisation at which a run is killed.
var initMoments = []moment{
	"before Vault has the request",
	"while Vault is at it",
	"before the answer arrives",
	"after the answer arrived",
}

// TestCrashInit kills runs with SIGKILL while Vault is being initialised: the
// process, or its process group. The process that asks goes on, and the next run,
// which begins at once, has the keys. Quick: once at each moment. Full:
// ZTPLAN_KILLS times (default 200).
func TestCrashInit(t *testing.T) {
	parallel(t)
	kills := len(initMoments)
	if full() {
		kills = 200
		if s := os.Getenv("ZTPLAN_KILLS"); s != "" {
			var err error
			if kills, err = strconv.Atoi(s); err != nil {
				t.Fatalf("ZTPLAN_KILLS: %v", err)
			}
		}
	}
	at, lost := make(map[moment]int), make(map[moment]int)
	for i := range kills {
		m := initMoments[i%len(initMoments)]
		at[m]++
		t.Run(fmt.Sprintf("%d", i), func(t *testing.T) {
			killInit(t, m, i/len(initMoments)%2 == 1)
			if t.Failed() {
				lost[m]++
			}
		})
	}
	tb := new(table)
	tb.add("KILLED", "TIMES", "KEYS LOST")
	for _, m := range initMoments {
		tb.add(string(m), strconv.Itoa(at[m]), strconv.Itoa(lost[m]))
	}
	if full() {
		tb.print()
	}
}

// killInit kills a run at m, and lets the next one converge.
func killInit(t *testing.T, m moment, group bool) {
	ztplan, dir := binary(t, "ztplan"), t.TempDir()
	v := startVault(t, binary(t, "ztlab"))
	p := vaultProxy(t, v.address, nil)
	plan := filepath.Join(dir, "plan.yaml")
	text := fmt.Sprintf("apiVersion: ztplan.dev/v1\nkind: Plan\nmetadata: {name: keys}\nconnections:\n  vault: {address: %q}\n"+
		"steps:\n  - {id: init, uses: vaultInit, with: {keys: {file: keys.json}}}\n", p.URL)
	if err := os.WriteFile(plan, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	var said bytes.Buffer
	command := func() *exec.Cmd {
		cmd := exec.Command(ztplan, "run", plan)
		cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_STATE_HOME="+home, "TMPDIR="+home)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.Stdout = &said
		return cmd
	}
	victim := command()
	dead := make(chan struct{})
	var mu sync.Mutex
	over := false
	kill := func() {
		mu.Lock()
		if pid := victim.Process.Pid; !over && group {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		} else {
			_ = victim.Process.Kill()
		}
		mu.Unlock()
		<-dead
	}
	late := func(longest time.Duration) { time.AfterFunc(time.Duration(rand.Int64N(int64(longest))), kill) }
	started := make(chan struct{})
	p.Set(faultproxy.Fault{
		Match: func(r *http.Request) bool { return isWrite(r) && r.URL.Path == "/v1/sys/init" },
		Times: 1,
		Effect: func(w http.ResponseWriter, r *http.Request, forward http.Handler) {
			<-started
			switch m {
			case initMoments[0]:
				kill()
			case initMoments[1]:
				late(100 * time.Millisecond)
			}
			answer := httptest.NewRecorder()
			forward.ServeHTTP(answer, r)
			switch m {
			case initMoments[2]:
				kill()
			case initMoments[3]:
				late(10 * time.Millisecond)
			}
			maps.Copy(w.Header(), answer.Header())
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
		},
	})
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	_ = victim.Wait()
	mu.Lock()
	over = true
	mu.Unlock()
	close(dead)
	if met, _ := p.Happened(); met == 0 {
		t.Fatalf("the run did not come to it:\n%s", said.Bytes())
	}
	said.Reset()
	if err := command().Run(); err != nil {
		t.Fatalf("killed %s, the next run: %v\n%s", m, err, said.Bytes())
	}
	(&cell{dir: dir, vault: v}).wholeInit(t)
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if strings.Contains(said.String(), "hvs.") {
		t.Error("the output shows a token")
	}
}
