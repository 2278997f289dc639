package link

import (
	"fmt"
	"net"
	"syscall"
)

// tcpNotSentLowat is TCP_NOTSENT_LOWAT (tcp(7)): how many unsent bytes the kernel may gather. What it gathers beyond the
// window of the connection only makes heartbeats wait.
const (
	tcpNotSentLowat = 25
	notSentBytes    = 128 << 10
)

// tune sets what a sending connection needs.
func tune(c net.Conn) error {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return fmt.Errorf("%T is no TCP connection", c)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpNotSentLowat, notSentBytes)
	})
	if err == nil && failed != nil {
		err = fmt.Errorf("set TCP_NOTSENT_LOWAT: %w", failed)
	}
	return err
}
