package kubekit

// CountTunnels counts the connections to pods that are open for new
// streams.
func CountTunnels(c *Cluster) int {
	c.tunnels.mu.Lock()
	defer c.tunnels.mu.Unlock()
	return len(c.tunnels.pods)
}
