//go:build !unix

package custody

import "io/fs"

func others(fs.FileInfo) string { return "" }

func mine(fs.FileInfo) bool { return true }

func links(fs.FileInfo) int { return 1 }
