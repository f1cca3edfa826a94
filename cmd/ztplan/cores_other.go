//go:build !linux

package main

// leaveNoCore does nothing here: Go programs write core files only with
// GOTRACEBACK=crash.
func leaveNoCore() {}
