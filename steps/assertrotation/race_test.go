//go:build race

package assertrotation

// simulations is how many proofs are simulated for each gateway: few, because the
// race detector makes each of them many times slower.
const simulations = 40
