package kubekit_test

import (
	"errors"
	"testing"

	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

func TestAgain(t *testing.T) {
	broken, restless := errors.New("broken"), errors.New("it changes")
	for name, c := range map[string]struct {
		doneAt, failsAt int // 0 for never
		tries           int
		want            error
	}{
		"at once":        {1, 0, 1, nil},
		"at the third":   {3, 0, 3, nil},
		"a failure":      {0, 2, 2, broken},
		"it never rests": {0, 0, 10, restless},
	} {
		tries := 0
		err := kubekit.Again(restless, func() (bool, error) {
			tries++
			if tries == c.failsAt {
				return false, broken
			}
			return tries == c.doneAt, nil
		})
		if tries != c.tries || err != c.want {
			t.Errorf("%s: %d tries, %v", name, tries, err)
		}
	}
}
