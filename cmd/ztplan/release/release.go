// Package release knows where the releases of ztplan are.
package release

import (
	"regexp"
	"strings"
)

const releases = "https://github.com/ztplan/ztplan/releases/"

// tag matches the version of a release, and none that Go makes from a commit.
var tag = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[a-z]+[0-9.]*)?$`)

// URL returns the address of a file of the release of a version; of the newest release if
// the version is none of a release.
func URL(version, file string) string {
	if tag.MatchString(version) {
		return releases + "download/" + version + "/" + file
	}
	return releases + "latest/download/" + file
}

// LabHint describes how to get ztlab, the lab's binary, for a platform of Go, such as
// linux and amd64.
func LabHint(version, os, arch string) string {
	if os != "linux" {
		return "the lab runs on Linux only: use it in a virtual machine or a container, or leave out --lab and use a cluster"
	}
	file := "ztlab_" + os + "_" + arch + ".tar.gz"
	return strings.Join([]string{
		"put it beside ztplan: curl -fsSL " + URL(version, file) + " | tar -xz ztlab",
		"or, in a checkout of ztplan: make build   (it puts ztplan and ztlab into bin/)",
	}, "\n")
}
