package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/ztplan/ztplan/cmd/ztplan/e2e/faultproxy"
)

// A trouble is a column of the fault table: a fault, and its possible results.
type trouble struct {
	name  string
	on    requests
	fault faultproxy.Fault
	// busy, if it is not 0, is the status that the server answers with instead of
	// the fault's effect, and retryAfter the value of that header.
	busy       int
	retryAfter string

	// mayFail matches the failure if there is one. Without it, the step must
	// converge.
	mayFail *regexp.Regexp
	// forEver means that the step cannot converge, and has advice.
	forEver bool
	// apiOnly leaves Vault out.
	apiOnly bool
	// quick are the subjects that it happens to in make test.
	quick []string
}

// requests are those that a trouble happens to.
type requests int

const (
	everything requests = iota
	answered            // those with one answer: no tunnel, no watch
	writes              // those that change something
	tunnels             // those that open a tunnel
)

const (
	// broken is how a connection that broke shows.
	broken = `EOF|connection reset|broken pipe|connection (was )?(lost|closed|refused)|stream error|tunnel|port-forward`
	// lostKeys is vaultInit's error when the one answer is lost.
	lostKeys = `its answer with the keys was lost`
)

// troubles are in the order of the table. A step has four attempts, so that it
// has to survive two faults even if one attempt fails for another reason.
func troubles() []trouble {
	re := regexp.MustCompile
	lost := re(lostKeys)
	all := []trouble{
		{name: "each answer 300 ms late", fault: faultproxy.Fault{Effect: faultproxy.Delay(300 * time.Millisecond)}},
		{name: "reset, twice", fault: faultproxy.Fault{Times: 2, Effect: faultproxy.Reset()}},
		{name: "reset, every 3rd", fault: faultproxy.Fault{Every: 3, Effect: faultproxy.Reset()}, mayFail: re(broken), quick: []string{"vaultUnseal"}},
		{name: "answer cut, twice", on: answered, fault: faultproxy.Fault{Times: 2, Effect: faultproxy.Truncate()}, quick: []string{"pkiIntermediate"}},
		{name: "answer halved, twice", on: answered, fault: faultproxy.Fault{Times: 2, Effect: faultproxy.Halve()}, quick: []string{"k8sAuth"}},
		{name: "all cut for 3 s", fault: faultproxy.Fault{For: 3 * time.Second, Effect: faultproxy.Reset()}},
		{name: "tunnel cut after 100 ms, twice", on: tunnels, fault: faultproxy.Fault{Times: 2, Effect: faultproxy.CutAfter(100 * time.Millisecond)}, mayFail: re(broken), quick: []string{"pkiRoot"}},
		{name: "write cut before, twice", on: writes, fault: faultproxy.Fault{Times: 2, Effect: faultproxy.Reset()}},
		{name: "write done, answer lost", on: writes, fault: faultproxy.Fault{Times: 1, Effect: faultproxy.LoseAnswer()}, mayFail: lost,
			quick: []string{"pkiRoot", "helmInstall", "vaultInit"}},
		{name: "write done, answer lost, every 2nd", on: writes, fault: faultproxy.Fault{Every: 2, Effect: faultproxy.LoseAnswer()}, mayFail: re(broken + "|" + lostKeys)},
		{name: "write done, answer cut", on: writes, fault: faultproxy.Fault{Times: 1, Effect: faultproxy.Truncate()}, mayFail: lost},
		{name: "write done, answer halved", on: writes, fault: faultproxy.Fault{Times: 1, Effect: faultproxy.Halve()}, mayFail: lost},
	}
	for _, busy := range []trouble{
		{name: "429", busy: 429}, {name: "429 Retry-After: 1", busy: 429, retryAfter: "1", quick: []string{"vaultUnseal"}},
		{name: "500", busy: 500}, {name: "503", busy: 503, quick: []string{"applyManifest"}}, {name: "503 Retry-After: 1", busy: 503, retryAfter: "1"},
	} {
		name := busy.name
		busy.fault.Times = 2
		busy.name = name + ", twice"
		all = append(all, busy)
		busy.name, busy.on, busy.quick = name+" to writes, twice", writes, nil
		all = append(all, busy)
	}
	refused := re(`401|Unauthorized|credentials`)
	return append(all,
		trouble{name: "503 for ever", busy: 503, forEver: true, mayFail: re(`503|busy`), quick: []string{"curlTLS"}},
		trouble{name: "401 for ever", busy: 401, forEver: true, mayFail: refused, quick: []string{"applyManifest"}},
		trouble{name: "401 after 2 requests", busy: 401, fault: faultproxy.Fault{After: 2}, forEver: true, mayFail: refused, quick: []string{"assertRotation"}},
		trouble{name: "403 for ever", busy: 403, forEver: true, mayFail: re(`403|[Ff]orbidden|permission denied`)},
		trouble{name: "server's clock 5 min ahead", fault: faultproxy.Fault{Effect: faultproxy.Shift(5 * time.Minute)}, apiOnly: true},
		trouble{name: "server's clock 5 min behind", fault: faultproxy.Fault{Effect: faultproxy.Shift(-5 * time.Minute)}, apiOnly: true, quick: []string{"run lock"}},
	)
}

// refusal is an answer as the server itself would give it.
func (tr trouble) refusal(server string) faultproxy.Effect {
	header := http.Header{"Content-Type": {"application/json"}}
	if tr.retryAfter != "" {
		header.Set("Retry-After", tr.retryAfter)
	}
	if server == "vault" {
		text := map[int]string{401: "unauthorized", 403: "permission denied", 429: "rate limit quota exceeded", 500: "internal error", 503: "busy"}[tr.busy]
		return faultproxy.Answer(tr.busy, header, fmt.Sprintf(`{"errors": [%q]}`, text))
	}
	status := map[int][2]string{
		401: {"Unauthorized", "Unauthorized"}, 403: {"Forbidden", `forbidden: User "u" cannot do that`}, 429: {"TooManyRequests", "too many requests"},
		500: {"InternalError", "internal error"}, 503: {"ServiceUnavailable", "the server is busy"},
	}[tr.busy]
	return faultproxy.Answer(tr.busy, header, fmt.Sprintf(
		`{"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": %q, "message": %q, "code": %d}`, status[0], status[1], tr.busy))
}
