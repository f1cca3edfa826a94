package netproxy

import (
	"log"
	"sync"
)

// A refusalLog logs why an address cannot be reached, once until the reason
// changes: the API server asks for an absent webhook with every request.
type refusalLog struct {
	logger *log.Logger

	mu   sync.Mutex
	last map[string]string // address to the reason that was logged
}

func (l *refusalLog) note(addr string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last[addr] == err.Error() {
		return
	}
	l.last[addr] = err.Error()
	l.logger.Printf("proxy: %s cannot be reached: %v", addr, err)
}

func (l *refusalLog) forget(addr string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.last, addr)
}
