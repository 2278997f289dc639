package ledger

// pages is a list that grows without moving what it holds, so that pointers into it stay valid, growing never copies and
// another goroutine can read the elements that do not change any more. T holds no pointers: the collector skips pages.
type pages[T any] struct {
	dir []*[pageSize]T
	len uint32
}

const (
	pageBits = 10
	pageSize = 1 << pageBits
)

func (p *pages[T]) at(i uint32) *T { return &p.dir[i>>pageBits][i%pageSize] }

// add appends a zero element.
func (p *pages[T]) add() (i uint32, element *T) {
	if p.len>>pageBits == uint32(len(p.dir)) {
		p.dir = append(p.dir, new([pageSize]T))
	}
	i = p.len
	p.len++
	return i, p.at(i)
}

// view is the list as it is now, for another goroutine.
func (p *pages[T]) view() pages[T] { return pages[T]{dir: p.dir[:len(p.dir):len(p.dir)], len: p.len} }
