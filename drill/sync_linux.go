package drill

import (
	"os"
	"syscall"
)

// syncData brings what was written over existing bytes of a file to the disk.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
