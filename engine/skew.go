package engine

import (
	"fmt"
	"net/http"
	"time"
)

// mostSkew is how far the clocks of two machines may be apart before certificates that
// have just been issued and tokens of a few minutes are refused. Dates of HTTP have whole
// seconds.
const mostSkew = 30 * time.Second

// Skew compares this machine's clock with the Date of an answer (RFC 9110 6.6.1) to a
// request that lasted from began to ended.
func Skew(server, date string, began, ended time.Time) Verdict {
	at, err := http.ParseTime(date)
	if err != nil {
		return NotChecked(fmt.Errorf("%s does not say the time", server))
	}
	ahead := time.Duration(0) // the least by which the clocks differ
	switch {
	case at.Add(time.Second).Before(began):
		ahead = began.Sub(at.Add(time.Second))
	case at.After(ended):
		ahead = -at.Sub(ended)
	}
	switch text := fmt.Sprintf("this machine is %v ahead of %s", ahead.Round(time.Second), server); {
	case ahead.Abs() < time.Second:
		return Verdict{Level: LevelOK, Detail: "agrees with " + server}
	case ahead.Abs() <= mostSkew:
		return Verdict{Level: LevelOK, Detail: text}
	case ahead < 0:
		return Verdict{Level: LevelFail, Detail: fmt.Sprintf("this machine is %v behind %s: new certificates are not valid yet here", -ahead.Round(time.Second), server), Next: clockHint}
	default:
		return Verdict{Level: LevelFail, Detail: text + ": tokens and certificates end too soon there", Next: clockHint}
	}
}

const clockHint = "set the clock that is wrong: timedatectl shows whether this machine's is synchronised"
