//go:build !linux

package rivals

import (
	"context"
	"errors"
)

func newSpaces(context.Context) (ground, error) {
	return nil, errors.New("only Linux has them")
}
