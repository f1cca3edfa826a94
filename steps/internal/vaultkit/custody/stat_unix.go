//go:build unix

package custody

import (
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// others returns who besides its owner may replace files in the directory, "" for no
// one. A sticky directory keeps the files of one user from the others. The
// group of a user's own, which many systems make for each user, is no other.
func others(dir fs.FileInfo) string {
	stat, ok := dir.Sys().(*syscall.Stat_t)
	switch {
	case !ok || dir.Mode()&fs.ModeSticky != 0:
		return ""
	case dir.Mode().Perm()&0o002 != 0:
		return "everybody"
	case dir.Mode().Perm()&0o020 == 0:
		return ""
	}
	gid := strconv.FormatUint(uint64(stat.Gid), 10)
	owner, ownerErr := user.LookupId(strconv.FormatUint(uint64(stat.Uid), 10))
	group, groupErr := user.LookupGroupId(gid)
	switch {
	case groupErr != nil:
		return "group " + gid
	case ownerErr == nil && owner.Gid == gid && owner.Username == group.Name:
		return ""
	}
	return "group " + group.Name
}

// mine reports whether the file belongs to the user of this process.
func mine(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return !ok || int(stat.Uid) == os.Geteuid()
}

// links is the number of names that the file has.
func links(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Nlink)
	}
	return 1
}
