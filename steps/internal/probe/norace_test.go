//go:build !race

package probe

// simulations is how many proofs are simulated for each gateway.
const simulations = 400
