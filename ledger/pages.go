package ledger

import "unsafe"

// pages is a list that grows without moving what it holds, so that pointers into it stay valid, growing never copies and
// another goroutine can read the elements that do not change any more. T holds no pointers: the collector skips pages.
type pages[T any] struct {
	dir   []*[pageSize]T
	spare [][pageSize]T // pages that nothing is on yet
	len   uint32
}

const (
	pageBits = 10
	pageSize = 1 << pageBits
)

func (p *pages[T]) at(i uint32) *T { return &p.dir[i>>pageBits][i%pageSize] }

// add appends a zero element.
func (p *pages[T]) add() (i uint32, element *T) {
	if p.len>>pageBits == uint32(len(p.dir)) {
		p.dir = append(p.dir, p.page())
	}
	i = p.len
	p.len++
	return i, p.at(i)
}

func (p *pages[T]) page() (page *[pageSize]T) {
	if len(p.spare) == 0 {
		return new([pageSize]T)
	}
	page, p.spare = &p.spare[0], p.spare[1:]
	return page
}

// reserve makes room for n elements more in one piece, and returns that piece as the bytes it is, for bytes of no meaning: see
// State.Reserve.
func (p *pages[T]) reserve(n uint64) (room []byte) {
	if n == 0 {
		return nil
	}
	p.spare = make([][pageSize]T, (n+pageSize-1)/pageSize)
	return unsafe.Slice((*byte)(unsafe.Pointer(&p.spare[0])), uintptr(len(p.spare))*unsafe.Sizeof(p.spare[0]))
}

// view is the list as it is now, for another goroutine.
func (p *pages[T]) view() pages[T] { return pages[T]{dir: p.dir[:len(p.dir):len(p.dir)], len: p.len} }
