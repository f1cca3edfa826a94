package main

import (
	"io"
	"log"

	"k8s.io/klog/v2"
)

// quietLibraries keeps the logs of client-go and Helm off the terminal: the important part of
// it reaches the user as an error or a warning of a step.
func quietLibraries() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	log.SetOutput(io.Discard)
}
