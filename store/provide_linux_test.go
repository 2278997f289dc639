package store

import (
	"bytes"
	"testing"
	"unsafe"
)

// Memory that is provided keeps what is in it, whatever lies at its edges.
func TestPopulateChangesNothing(t *testing.T) {
	for _, size := range []int{1, 4 << 10, 12 << 10, 3 << 20, 9<<20 + 123} {
		memory := make([]byte, size+1)[1:]
		for i := range memory {
			memory[i] = byte(i % 251)
		}
		want := bytes.Clone(memory)
		if err := populate(memory); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if !bytes.Equal(memory, want) {
			t.Errorf("%d bytes were changed", size)
		}
	}
}

func TestWithinGivesWholePages(t *testing.T) {
	const page = 4 << 10
	memory := make([]byte, 10*page)
	for from := range 3 * page / 2 {
		whole := within(memory[from:], page)
		lost := len(memory) - from - len(whole)
		if at := uintptr(unsafe.Pointer(&whole[0])); at%page != 0 || len(whole)%page != 0 || lost < 0 || lost >= 2*page {
			t.Fatalf("from %d: %d bytes at %x, %d lost", from, len(whole), at, lost)
		}
		if len(within(memory[from:from+page-1], page)) > 0 {
			t.Fatalf("from %d: a page in less than one", from)
		}
	}
}
