package shard

import (
	"container/list"
	"fmt"
	"sync"

	"holdfast"
	"holdfast/ledger"
)

// bodies reads transactions out of the journal. It remembers where they begin in the entries that were read last, because
// the lines of a statement page often come from the same few.
type bodies struct {
	past ledger.Past

	mu    sync.Mutex // guards what follows
	known map[uint64]*list.Element
	order *list.List // of *indexed, the last used first
	bytes int
}

// maxBodyBytes bounds what is remembered.
const maxBodyBytes = 16 << 20

// indexed is an entry and where its transactions begin, as far as somebody has asked.
type indexed struct {
	index  uint64
	header ledger.Header
	body   []byte
	starts []uint32
}

func newBodies(past ledger.Past) *bodies {
	return &bodies{past: past, known: map[uint64]*list.Element{}, order: list.New()}
}

// txn returns the transaction at a position and the time it was given.
func (b *bodies) txn(at holdfast.Position) (*holdfast.Txn, holdfast.Time, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x, err := b.entry(at.Index)
	if err != nil {
		return nil, 0, err
	}
	if at.Ord >= x.header.Count {
		return nil, 0, fmt.Errorf("%w: entry %d has %d transactions, number %d is asked for",
			ErrInvariant, at.Index, x.header.Count, at.Ord)
	}
	t, err := x.read(at.Ord)
	if err != nil {
		return nil, 0, fmt.Errorf("entry %d: %w", at.Index, err)
	}
	return t, x.header.Time + holdfast.Time(at.Ord), nil
}

func (b *bodies) entry(index uint64) (*indexed, error) {
	if e := b.known[index]; e != nil {
		b.order.MoveToFront(e)
		return e.Value.(*indexed), nil
	}
	data, err := b.past.Entry(index)
	if err != nil {
		return nil, fmt.Errorf("reading entry %d of the journal: %w", index, err)
	}
	x := &indexed{index: index, starts: []uint32{0}}
	if x.header, x.body, err = ledger.ReadEntry(data); err != nil {
		return nil, fmt.Errorf("entry %d of the journal: %w", index, err)
	}
	b.known[index] = b.order.PushFront(x)
	b.bytes += len(x.body)
	for b.bytes > maxBodyBytes && b.order.Len() > 1 {
		b.forget(b.order.Back())
	}
	return x, nil
}

func (b *bodies) forget(e *list.Element) {
	x := b.order.Remove(e).(*indexed)
	delete(b.known, x.index)
	b.bytes -= len(x.body)
}

// read decodes transaction ord; the caller gets a fresh one.
func (x *indexed) read(ord uint32) (*holdfast.Txn, error) {
	scratch := &holdfast.Txn{}
	for n := uint32(len(x.starts) - 1); n < ord; n++ {
		rest, err := ledger.ReadTxn(x.body[x.starts[n]:], scratch)
		if err != nil {
			return nil, err
		}
		x.starts = append(x.starts, uint32(len(x.body)-len(rest)))
	}
	t := &holdfast.Txn{}
	_, err := ledger.ReadTxn(x.body[x.starts[ord]:], t)
	return t, err
}
