package release_test

import (
	"strings"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/release"
)

// A release names its own files; a build from a commit those of the newest release.
func TestURL(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3": "download/v1.2.3/a", "v1.2.3-rc.1": "download/v1.2.3-rc.1/a", "devel": "latest/download/a", "": "latest/download/a",
		"v0.0.0-20261128171835-7e19a4c7ba05":         "latest/download/a",
		"v1.2.4-0.20261128171835-7e19a4c7ba05+dirty": "latest/download/a",
		"v1.2.3-3-g7e19a4c":                          "latest/download/a",
	} {
		if got := release.URL(version, "a"); got != "https://github.com/ztplan/ztplan/releases/"+want {
			t.Errorf("%s: %s", version, got)
		}
	}
}

// The archive that the hint names is one that a release has: build.sh makes ztlab for
// Linux.
func TestLabHint(t *testing.T) {
	if hint := release.LabHint("v1.2.3", "linux", "arm64"); !strings.Contains(hint, "/download/v1.2.3/ztlab_linux_arm64.tar.gz ") {
		t.Error(hint)
	}
	if hint := release.LabHint("v1.2.3", "darwin", "arm64"); !strings.Contains(hint, "Linux only") || strings.Contains(hint, ".tar.gz") {
		t.Error(hint)
	}
}
