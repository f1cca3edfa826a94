package certwatch

import (
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/steps/evidence"
)

// The more answers, the closer the clock is known; answers that contradict each
// other are no clock.
func TestServerClock(t *testing.T) {
	zero := time.Date(2026, 1, 18, 16, 0, 0, 0, time.UTC)
	const ahead = 40 * time.Second
	now := zero
	c := &Clock{now: func() time.Time { return now }}
	answer := func(skew time.Duration) {
		rt := c.Transport(roundTripper(func(*http.Request) (*http.Response, error) {
			now = now.Add(5 * time.Millisecond)
			date := now.Add(skew).UTC().Format(http.TimeFormat)
			now = now.Add(5 * time.Millisecond)
			return &http.Response{Header: http.Header{"Date": {date}}}, nil
		}))
		if _, err := rt.RoundTrip(nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.Record(); got != (evidence.Clock{}) {
		t.Errorf("before any answer: %v", got)
	}
	for i := range 30 {
		answer(ahead)
		got := c.Record()
		if got.Resolution != 1 || got.Least > ahead.Seconds() || got.Most < ahead.Seconds() {
			t.Fatalf("after %d answers: %v, want %s in it", i+1, got, ahead)
		}
		now = now.Add(70 * time.Millisecond)
	}
	if got := c.Record(); got.Most-got.Least > 0.4 {
		t.Errorf("after 30 answers: %v", got)
	}
	answer(ahead + 3*time.Second)
	if got := c.Record(); got != (evidence.Clock{}) {
		t.Errorf("after a contradiction: %v", got)
	}
}

// Who owns a field wrote it, then or before.
func TestWritten(t *testing.T) {
	at := func(second int) *metav1.Time {
		v := metav1.NewTime(time.Date(2026, 1, 18, 16, 0, second, 0, time.UTC))
		return &v
	}
	m := metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{
		{Manager: "issuing", Time: at(5), FieldsV1: metav1.NewFieldsV1(`{"f:status":{"f:revision":{},"f:conditions":{"k:{\"type\":\"Ready\"}":{".":{},"f:status":{}}}}}`)},
		{Manager: "trigger", Time: at(3), FieldsV1: metav1.NewFieldsV1(`{"f:status":{"f:conditions":{"k:{\"type\":\"Issuing\"}":{"f:status":{}}}}}`)},
		{Manager: "nobody", FieldsV1: metav1.NewFieldsV1(`{"f:status":{"f:revision":{}}}`)},
	}}
	if got := written(m, "f:status", "f:revision"); !got.Equal(at(5).Time) {
		t.Errorf("revision: %s", got)
	}
	if got := conditionWritten(m, "Issuing"); !got.Equal(at(3).Time) {
		t.Errorf("Issuing: %s", got)
	}
	if got := conditionWritten(m, "Approved"); !got.IsZero() {
		t.Errorf("Approved: %s", got)
	}
}
