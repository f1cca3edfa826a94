//go:build unix && !linux

package main

// leaveNoCore keeps a crash from writing the process's memory to a file.
func leaveNoCore() { crashBySignal() }
