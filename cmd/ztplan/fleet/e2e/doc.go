// Package e2e tests fleets as users run them: the shipped binaries, a lab as the hub and
// labs as its members. There is nothing in it but tests.
package e2e
