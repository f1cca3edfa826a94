package custody_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ztplan/ztplan/steps/internal/vaultkit/custody"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/unsealkeys"
	"github.com/ztplan/ztplan/steps/internal/vaultkit/vaulttest"
)

// fullVariable makes this test binary a process with a file system of its own:
// "ADDRESS DIRECTORY".
const fullVariable = "ZTPLAN_TEST_FULL"

// fill writes to a file until the file system is full, and then frees so many
// bytes of it.
func fill(t *testing.T, path string, free int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block, size := make([]byte, 4096), int64(0)
	for err == nil {
		var n int
		n, err = f.Write(block)
		size += int64(n)
	}
	if err := f.Truncate(size - free); err != nil {
		t.Fatal(err)
	}
}

// TestFullProcess is the body of the process with a file system of its own.
func TestFullProcess(t *testing.T) {
	address, dir, ok := strings.Cut(os.Getenv(fullVariable), " ")
	if !ok {
		t.Skip("is for the process that TestFullDisk starts")
	}
	if err := syscall.Mount("ztplan", dir, "tmpfs", 0, "size=128k,mode=700"); err != nil {
		t.Logf("NO MOUNT: %v", err)
		return
	}
	s, env := initSpec(address, filepath.Join(dir, "keys.json")), vaulttest.Env(t)
	s.Shares = 60 // the answer takes more than one block
	ballast := filepath.Join(dir, "ballast")

	// The note takes the only free block.
	fill(t, ballast, 4096)
	err := initialise(t.Context(), env, s)
	vaulttest.WantPermanent(t, err, "no space left on device", "with room")

	// The rest of the disk is taken while Vault is being asked.
	if err := os.Truncate(ballast, 0); err != nil {
		t.Fatal(err)
	}
	writes := 0
	ctx := custody.WithCalls(t.Context(), func(call string) error {
		if call == "write" {
			if writes++; writes == 3 {
				fill(t, ballast, 0)
			}
		}
		return nil
	})
	if err := initialise(ctx, env, s); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.Keys.File.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unsealkeys.Decode(text); err != nil || writes != 3 {
		t.Errorf("%d writes, %v", writes, err)
	}
}

// On a disk that is full Vault is not asked; on one that fills up afterwards the
// keys have their room.
func TestFullDisk(t *testing.T) {
	v := vaulttest.Start(t)
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^TestFullProcess$")
	cmd.Env = append(os.Environ(), fullVariable+"="+v.Address+" "+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	said, err := cmd.CombinedOutput()
	switch {
	case err != nil && len(said) == 0:
		t.Skipf("no user namespace: %v", err)
	case strings.Contains(string(said), "NO MOUNT"):
		t.Skipf("no file system of its own: %s", said)
	case err != nil:
		t.Fatalf("%v\n%s", err, said)
	}
}
