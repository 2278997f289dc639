package ledger

import "unsafe"

// pages is a list that grows without moving what it holds, so that pointers into it stay valid, growing never copies and
// another goroutine can read the elements that do not change any more. T holds no pointers: the collector skips pages.
type pages[T any] struct {
	dir   []*[pageSize]T
	spare [][][pageSize]T // pieces of pages that nothing is on yet
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
	for len(p.spare) > 0 && len(p.spare[0]) == 0 {
		p.spare = p.spare[1:]
	}
	if len(p.spare) == 0 {
		return new([pageSize]T)
	}
	page, p.spare[0] = &p.spare[0][0], p.spare[0][1:]
	return page
}

// reservePages are reserved in one piece: a piece of memory that was in use before, if only in part, is cleared first.
const reservePages = 512

// reserve makes room for n elements more, and returns that room as the bytes it is, for bytes of no meaning: see State.Reserve.
func (p *pages[T]) reserve(n uint64) (room [][]byte) {
	for left := (n + pageSize - 1) / pageSize; left > 0; {
		piece := make([][pageSize]T, min(left, reservePages))
		p.spare = append(p.spare, piece)
		room = append(room, unsafe.Slice((*byte)(unsafe.Pointer(&piece[0])), uintptr(len(piece))*unsafe.Sizeof(piece[0])))
		left -= uint64(len(piece))
	}
	return room
}

// view is the list as it is now, for another goroutine.
func (p *pages[T]) view() pages[T] { return pages[T]{dir: p.dir[:len(p.dir):len(p.dir)], len: p.len} }
