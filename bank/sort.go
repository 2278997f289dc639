package bank

import (
	"container/heap"
	"errors"
	"iter"
	"slices"
)

// Run is a place outside of memory for a sorted part of the items.
type Run interface {
	Put(i Item) error
	// Items lists what was put, in order; nothing is put after that.
	Items() Items
	Close() error
}

// maxRuns is how many parts are merged at once.
const maxRuns = 200

// SortItems brings items into the order of [CompareItems], as [Reconcile] wants them. It keeps at most as many in memory as the number says;
// what is more goes, in sorted parts, to runs that it makes and closes. A bank's book comes in the order of booking.
func SortItems(items Items, inMemory int, make func() (Run, error)) Items {
	return func(yield func(Item, error) bool) {
		s := &sorter{most: inMemory, make: make}
		err := s.read(items)
		if err == nil && len(s.runs) == 0 {
			slices.SortStableFunc(s.part, CompareItems)
			for _, i := range s.part {
				if !yield(i, nil) {
					return
				}
			}
			return
		}
		if err == nil && len(s.part) > 0 {
			err = s.spill()
		}
		if err == nil {
			err = merged(s.runs, yield)
		}
		if err = errors.Join(err, s.close()); err != nil && !errors.Is(err, errEnough) {
			yield(Item{}, err)
		}
	}
}

type sorter struct {
	most int
	make func() (Run, error)
	part []Item
	runs []Run
}

var errEnough = errors.New("nobody wants more")

func (s *sorter) read(items Items) error {
	for i, err := range items {
		if err != nil {
			return err
		}
		if s.part = append(s.part, i); len(s.part) >= max(s.most, 1) {
			if err := s.spill(); err != nil {
				return err
			}
		}
	}
	return nil
}

// spill puts what is in memory into a run. When there are many runs, they become one.
func (s *sorter) spill() error {
	if len(s.runs) == maxRuns {
		if err := s.join(); err != nil {
			return err
		}
	}
	run, err := s.make()
	if err != nil {
		return err
	}
	s.runs = append(s.runs, run)
	slices.SortStableFunc(s.part, CompareItems)
	for _, i := range s.part {
		if err := run.Put(i); err != nil {
			return err
		}
	}
	clear(s.part)
	s.part = s.part[:0]
	return nil
}

func (s *sorter) join() error {
	one, err := s.make()
	if err != nil {
		return err
	}
	var put error
	err = merged(s.runs, func(i Item, _ error) bool {
		put = one.Put(i)
		return put == nil
	})
	if err = errors.Join(put, err, s.close()); err != nil {
		return errors.Join(err, one.Close())
	}
	s.runs = append(s.runs, one)
	return nil
}

func (s *sorter) close() error {
	var errs []error
	for _, r := range s.runs {
		errs = append(errs, r.Close())
	}
	s.runs = nil
	return errors.Join(errs...)
}

// merged yields what all runs have, in order; errEnough when nobody wants more.
func merged(runs []Run, yield func(Item, error) bool) error {
	var fronts fronts
	for n, r := range runs {
		next, stop := iter.Pull2(r.Items())
		defer stop()
		f := &front{run: n, next: next}
		if ok, err := f.advance(); err != nil {
			return err
		} else if ok {
			fronts = append(fronts, f)
		}
	}
	heap.Init(&fronts)
	for len(fronts) > 0 {
		f := fronts[0]
		if !yield(f.item, nil) {
			return errEnough
		}
		ok, err := f.advance()
		switch {
		case err != nil:
			return err
		case ok:
			heap.Fix(&fronts, 0)
		default:
			heap.Pop(&fronts)
		}
	}
	return nil
}

// front is the next item of a run.
type front struct {
	run  int
	item Item
	next func() (Item, error, bool)
}

func (f *front) advance() (ok bool, err error) {
	f.item, err, ok = f.next()
	return ok && err == nil, err
}

type fronts []*front

func (f fronts) Len() int { return len(f) }

func (f fronts) Less(i, j int) bool {
	if c := CompareItems(f[i].item, f[j].item); c != 0 {
		return c < 0
	}
	return f[i].run < f[j].run
}

func (f fronts) Swap(i, j int) { f[i], f[j] = f[j], f[i] }

// Push implements heap.Interface.
func (f *fronts) Push(x any) { *f = append(*f, x.(*front)) }

// Pop implements heap.Interface.
func (f *fronts) Pop() any {
	last := len(*f) - 1
	x := (*f)[last]
	*f = (*f)[:last]
	return x
}
