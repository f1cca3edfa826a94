//go:build !unix

package durable

// SyncDir does nothing: Windows refuses to sync a directory.
func SyncDir(string) error { return nil }
