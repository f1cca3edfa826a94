package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ztplan/ztplan/cmd/ztplan/cli"
)

// smallVariable makes this test binary a process that mounts a small file system on
// the directory that it names.
const smallVariable = "ZTPLAN_TEST_SMALL"

// TestSmallProcess runs in the process with a file system of its own.
func TestSmallProcess(t *testing.T) {
	dir := os.Getenv(smallVariable)
	if dir == "" {
		t.Skip("is for the process that TestReportOnAFullDisk starts")
	}
	if err := syscall.Mount("ztplan", dir, "tmpfs", 0, "size=512k,mode=700"); err != nil {
		t.Logf("NO MOUNT: %v", err)
		return
	}
	var stdout, stderr bytes.Buffer
	code := execute([]string{"run", "../../plans/lab.yaml", "--report", filepath.Join(dir, "report"), "--kubeconfig", filepath.Join(dir, "none")}, nil, &stdout, &stderr)
	if code != cli.Invalid || !strings.Contains(stderr.String(), "no room for a report") || !strings.Contains(stderr.String(), "no space left on device") {
		t.Errorf("exit status %d\n%s", code, stderr.String())
	}
	if err := syscall.Mount("ztplan", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	stderr.Reset()
	code = execute([]string{"run", "../../plans/lab.yaml", "--report", filepath.Join(dir, "report"), "--kubeconfig", filepath.Join(dir, "none")}, nil, &stdout, &stderr)
	if code != cli.Invalid || !strings.Contains(stderr.String(), "read-only file system") {
		t.Errorf("exit status %d\n%s", code, stderr.String())
	}
}

// A disk that is full, or read-only, is found out before anything is contacted.
func TestReportOnAFullDisk(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^TestSmallProcess$")
	cmd.Env = append(os.Environ(), smallVariable+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("no user namespace: %v", err)
	case strings.Contains(string(said), "NO MOUNT"):
		t.Skipf("no file system of its own: %s", said)
	case err != nil:
		t.Fatalf("%v\n%s", err, said)
	}
}
