// Package ui shows a run to people and programs. Every reader gets the same
// stream of events, already redacted, and adds nothing that is not in it.
//
// # Voice
//
// The lines of a step begin with its id. Past participles for finished work
// (changed, unchanged, proved, skipped, failed). Lower case, no full stop.
// Errors come with a line that starts "hint:" and names the next thing to do, and one
// that starts "next:" with a command. They are shown once, when the run is over: a
// block for each failure closes it. Colour marks, never carries, meaning. Output that
// another program may read goes to standard output and everything else to standard
// error.
package ui
