package bench

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// chill writes the files of a directory out and has the kernel forget them, so that whoever reads them next reads the disk, as
// after a crash of the machine.
func chill(dir string) (cold bool, err error) {
	return true, eachFile(dir, func(path string) error {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("have the kernel forget a file: %w", err)
		}
		err = errors.Join(f.Sync(), unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
		if err != nil {
			err = fmt.Errorf("have the kernel forget %s: %w", path, err)
		}
		return errors.Join(err, f.Close())
	})
}
