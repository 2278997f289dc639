//go:build !linux

package rivals

import (
	"context"
	"errors"
	"net"
)

func newSpaces(context.Context) (ground, error) {
	return nil, errors.New("only Linux has them")
}

func subflows(net.Conn) (int, error) { return 0, errors.New("only Linux counts them") }
