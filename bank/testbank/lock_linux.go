package testbank

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock makes sure that no other process has the journal; the lock ends with the process.
func lock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.New("another test bank has it open: give each a --data of its own")
	}
	return nil
}
