//go:build unix

package client

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// closed reports whether the other side has ended a connection over which no answer is due. What it sent unasked ends it as well: that
// would be taken for the next answer. It looks without waiting and takes nothing out; what it cannot look into it takes for whole.
func (l *line) closed() bool {
	if l.in.Buffered() > 0 {
		return true
	}
	conn := l.conn
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok { // of crypto/tls
		conn = secure.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	closed, err := ended(raw)
	if errors.Is(err, os.ErrDeadlineExceeded) { // that of the request before; the next one sets its own
		if err = conn.SetReadDeadline(time.Time{}); err == nil {
			closed, err = ended(raw)
		}
	}
	return closed || err != nil
}

func ended(raw syscall.RawConn) (yes bool, err error) {
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		yes = !errors.Is(err, syscall.EAGAIN)
		return true // whatever it was: do not wait
	})
	return yes, err
}
