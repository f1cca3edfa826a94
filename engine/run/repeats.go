package run

import (
	"fmt"
	"time"

	"github.com/ztplan/ztplan/engine"
)

// firstRepeat is the time after which a look that keeps failing in the same way is
// shown again; each further pause is twice as long.
const firstRepeat = 15 * time.Second

// repeats counts how often the same error came in a row.
type repeats struct {
	text  string
	count int
	pause time.Duration
	due   time.Time // when it is shown again
}

// add counts an error and reports whether it is another than the one before.
func (r *repeats) add(err error) (other bool) {
	if other = r.count == 0 || err.Error() != r.text; other {
		*r = repeats{text: err.Error(), pause: firstRepeat, due: time.Now().Add(firstRepeat)}
	}
	r.count++
	return other
}

// again reports whether the error is to be shown again.
func (r *repeats) again() bool {
	if time.Now().Before(r.due) {
		return false
	}
	r.pause *= 2
	r.due = time.Now().Add(r.pause)
	return true
}

// times returns " (×9)" for an error that came so often, "" for one that came once.
func (r *repeats) times(err error) string {
	if r.count < 2 || err.Error() != r.text {
		return ""
	}
	return fmt.Sprintf(" (×%d)", r.count)
}

// retry reports that another try follows a failed one.
func (s *stepRun) retry(err error) {
	s.retries++
	s.repeats.add(err)
	s.showRetry(err, "", 0)
}

// retryWrite is retry for an edit. It is counted when the round is over.
func (s *stepRun) retryWrite(err error, path string, attempt int) {
	s.repeats.add(err)
	s.showRetry(err, path, attempt)
}

// retryLook is retry for looks, which are made often: the same error is shown again
// after a while, and then less and less often.
func (s *stepRun) retryLook(err error) {
	if s.repeats.add(err) || s.repeats.again() {
		s.retries++
		s.showRetry(err, "", 0)
	}
}

func (s *stepRun) showRetry(err error, path string, attempt int) {
	ev := engine.Event{Action: engine.ActionRetry, Attempt: attempt, Path: path, Error: err.Error(), Hint: s.opts.hint(err, "")}
	if s.repeats.count > 1 {
		ev.Count = s.repeats.count
	}
	s.emit(ev)
}
