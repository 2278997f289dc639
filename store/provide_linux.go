package store

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// populate has the pages that lie wholly within memory brought, without changing what is in them (MADV_POPULATE_WRITE, Linux 5.14).
// An error means that they will come by themselves, one by one.
func populate(memory []byte) error {
	page := uintptr(os.Getpagesize())
	skip := -uintptr(unsafe.Pointer(&memory[0])) % page
	if uintptr(len(memory)) < skip+page {
		return nil
	}
	memory = memory[skip:]
	return unix.Madvise(memory[:uintptr(len(memory))/page*page], unix.MADV_POPULATE_WRITE)
}
