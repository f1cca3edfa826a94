package certmanager

import (
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	last := time.Date(2026, 1, 18, 12, 0, 0, 0, time.UTC)
	for n, want := range map[int]time.Duration{0: time.Hour, 1: time.Hour, 2: 2 * time.Hour, 5: 16 * time.Hour, 6: 32 * time.Hour, 7: 32 * time.Hour, 100: 32 * time.Hour} {
		if got := DefaultBackoff().Next(last, n).Sub(last); got != want {
			t.Errorf("after %d failures: %s, want %s", n, got, want)
		}
	}
	for passed, want := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Minute: 70 * time.Second, time.Hour: 5 * time.Minute, -time.Second: 10 * time.Second} {
		if now := last.Add(passed); NextPending(last, now).Sub(now) != want {
			t.Errorf("pending for %s: tried again at %s, want %s later", passed, NextPending(last, now), want)
		}
	}
	if got := (Backoff{First: 2 * time.Hour, Longest: time.Hour}).Next(last, 3).Sub(last); got != 2*time.Hour {
		t.Errorf("a first pause above the longest: %s", got)
	}
}

func TestConfigure(t *testing.T) {
	for text, want := range map[string]Backoff{
		"kind: ControllerConfiguration\ncertificateRequestMinimumBackoffDuration: 1m":   {time.Minute, 32 * time.Hour},
		"kind: ControllerConfiguration\ncertificateRequestMaximumBackoffDuration: 2h":   {time.Hour, 2 * time.Hour},
		"kind: ControllerConfiguration":                                                 DefaultBackoff(),
		"kind: KubeletConfiguration\ncertificateRequestMinimumBackoffDuration: 1m":      DefaultBackoff(),
		"kind: ControllerConfiguration\ncertificateRequestMinimumBackoffDuration: soon": DefaultBackoff(),
		"": DefaultBackoff(),
	} {
		got := DefaultBackoff()
		if got.configure(text); got != want {
			t.Errorf("%q: got %+v, want %+v", text, got, want)
		}
	}
}
