package store

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// populate has the pages that lie wholly within memory brought, without changing what is in them (MADV_POPULATE_WRITE, Linux 5.14),
// as huge ones where the system allows it: all of them will be written. An error means that they will come by themselves, one by one.
func populate(memory []byte) error {
	if huge := within(memory, hugePage); len(huge) > 0 {
		_ = unix.Madvise(huge, unix.MADV_HUGEPAGE) // a kernel without them brings small ones
	}
	whole := within(memory, uintptr(os.Getpagesize()))
	if len(whole) == 0 {
		return nil
	}
	return unix.Madvise(whole, unix.MADV_POPULATE_WRITE)
}

const hugePage = 2 << 20 // of most processors; where they are larger, the smaller ones are asked for within larger

// within is the part of memory that consists of whole pages.
func within(memory []byte, page uintptr) []byte {
	skip := -uintptr(unsafe.Pointer(&memory[0])) % page
	if uintptr(len(memory)) < skip+page {
		return nil
	}
	memory = memory[skip:]
	return memory[:uintptr(len(memory))/page*page]
}
