//go:build !linux

package doctor

import (
	"errors"
	"net/netip"
	"os"
)

func hopTo(netip.Addr) (Hop, error) { return Hop{}, errors.ErrUnsupported }

func (*Disk) space(string) error { return errors.ErrUnsupported }

func syncData(f *os.File) error { return f.Sync() }

func openFiles() uint64 { return 0 }

func noPriority(int) bool { return false }
