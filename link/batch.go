package link

import (
	"bufio"
	"net"
	"sync"
)

const (
	batchBytes = 128 << 10 // gathered before they go to the kernel in one call
	readBytes  = 64 << 10
)

// batchConn stands between TLS, which writes and reads records of at most 16 KiB, and TCP: it turns many small system calls
// into few. Until hold is called every Write goes out at once, as a handshake needs it.
type batchConn struct {
	net.Conn
	r *bufio.Reader

	mu      sync.Mutex // TLS may write an alert while the writer writes
	holding bool
	out     []byte
}

func newBatchConn(c net.Conn) *batchConn {
	return &batchConn{Conn: c, r: bufio.NewReaderSize(c, readBytes)}
}

// Read implements net.Conn.
func (c *batchConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// Write implements net.Conn.
func (c *batchConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.holding {
		return c.Conn.Write(p)
	}
	c.out = append(c.out, p...)
	if len(c.out) < batchBytes {
		return len(p), nil
	}
	return len(p), c.flushLocked()
}

// hold makes Write gather from now on.
func (c *batchConn) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holding = true
	c.out = make([]byte, 0, batchBytes+(17<<10)) // one record may stick out
}

func (c *batchConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.flushLocked()
}

func (c *batchConn) flushLocked() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}
