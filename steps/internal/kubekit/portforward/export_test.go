package portforward

import (
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
)

// DialSPDY opens a connection to a pod the old way.
func DialSPDY(d *Dialer, pod Pod) (httpstream.Connection, error) {
	dialer, err := d.spdy(d.url(pod))
	if err != nil {
		return nil, err
	}
	conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	return conn, err
}
