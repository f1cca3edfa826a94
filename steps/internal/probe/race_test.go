//go:build race

package probe

// simulations is how many proofs are simulated for each gateway: few, because the
// race detector makes each of them many times slower.
const simulations = 40
