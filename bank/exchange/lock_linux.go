package exchange

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock takes the lock if nobody has it. It ends when the file is closed, at the latest with the process.
func lock(f *os.File) (taken bool, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
