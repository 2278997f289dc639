//go:build !unix

package client

// closed would report whether the other side has ended the connection. Here that is noticed when it is used.
func (l *line) closed() bool { return l.in.Buffered() > 0 }
