//go:build !race

package assertrotation

// simulations is how many proofs are simulated for each gateway.
const simulations = 400
