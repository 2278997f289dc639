package ledger

import (
	"slices"

	"holdfast"
)

// hold is an open hold. It stands in two lists, those of its debit and its credit account, and in the heap when it is due
// one day. Links and the like are numbers of holds plus 1; 0 is none.
type hold struct {
	id     holdfast.ID
	ref    holdfast.Ref
	index  uint64
	time   holdfast.Time
	due    holdfast.Time
	amount holdfast.Amount
	ord    uint32
	code   uint32
	debit  uint32 // ordinals
	credit uint32
	heap   uint32 // place in the heap
	links  [2]link
	leg    holdfast.Leg
}

// link joins the holds of one account; a hold has one for each of its sides.
type link struct{ prev, next uint32 }

const (
	debitSide = iota
	creditSide
)

// side tells on which side of the hold an account is.
func (h *hold) side(ordinal uint32) int {
	if h.debit == ordinal {
		return debitSide
	}
	return creditSide
}

// holds are all open holds. Their numbers are reused.
type holds struct {
	list pages[hold]
	free []uint32
	byID map[holdfast.ID]uint32
	heap []uint32 // numbers, the earliest due first: a binary heap
}

func (h *holds) find(id holdfast.ID) (n uint32, ok bool) {
	n, ok = h.byID[id]
	return n, ok
}

// open puts a hold into all its places, the newest of its accounts.
func (h *holds) open(accounts *accounts, held hold) (n uint32) {
	n = h.add(held)
	h.link(accounts, n, held.debit)
	h.link(accounts, n, held.credit)
	return n
}

// add puts a hold into all its places but the lists of its accounts.
func (h *holds) add(held hold) (n uint32) {
	n, slot := h.slot()
	*slot = held
	if h.byID == nil {
		h.byID = map[holdfast.ID]uint32{}
	}
	h.byID[held.id] = n
	if held.due != 0 {
		h.heap = append(h.heap, n)
		slot.heap = uint32(len(h.heap))
		h.up(len(h.heap) - 1)
	}
	return n
}

func (h *holds) slot() (n uint32, slot *hold) {
	if last := len(h.free) - 1; last >= 0 {
		n = h.free[last]
		h.free = h.free[:last]
		return n, h.list.at(n)
	}
	return h.list.add()
}

func (h *holds) remove(accounts *accounts, n uint32) {
	held := h.list.at(n)
	delete(h.byID, held.id)
	h.unlink(accounts, n, held.debit)
	h.unlink(accounts, n, held.credit)
	if held.heap != 0 {
		h.drop(int(held.heap) - 1)
	}
	*held = hold{}
	h.free = append(h.free, n)
}

// linkAll makes the lists of all accounts, of holds that came in any order.
func (h *holds) linkAll(accounts *accounts) {
	type placed struct {
		Place
		n uint32
	}
	all := make([]placed, 0, len(h.byID))
	for _, n := range h.byID {
		all = append(all, placed{h.list.at(n).place(), n})
	}
	slices.SortFunc(all, func(a, b placed) int { return a.Compare(b.Place) })
	for _, p := range all {
		held := h.list.at(p.n)
		h.link(accounts, p.n, held.debit)
		h.link(accounts, p.n, held.credit)
	}
}

// link puts hold n at the head of the list of an account.
func (h *holds) link(accounts *accounts, n, ordinal uint32) {
	a, held := accounts.hot.at(ordinal), h.list.at(n)
	held.links[held.side(ordinal)] = link{next: a.firstHold}
	if a.firstHold != 0 {
		next := h.list.at(a.firstHold - 1)
		next.links[next.side(ordinal)].prev = n + 1
	}
	a.firstHold = n + 1
}

func (h *holds) unlink(accounts *accounts, n, ordinal uint32) {
	held := h.list.at(n)
	l := held.links[held.side(ordinal)]
	if l.next != 0 {
		next := h.list.at(l.next - 1)
		next.links[next.side(ordinal)].prev = l.prev
	}
	if l.prev == 0 {
		accounts.hot.at(ordinal).firstHold = l.next
		return
	}
	prev := h.list.at(l.prev - 1)
	prev.links[prev.side(ordinal)].next = l.next
}

// pending sums up what the open holds reserve: debits and credits by ordinal.
func (h *holds) pending() map[uint32][2]holdfast.Amount {
	sums := map[uint32][2]holdfast.Amount{}
	for _, n := range h.byID {
		held := h.list.at(n)
		debit, credit := sums[held.debit], sums[held.credit]
		debit[debitSide] += held.amount
		credit[creditSide] += held.amount
		sums[held.debit], sums[held.credit] = debit, credit
	}
	return sums
}

// The heap.

func (h *holds) earlier(i, j int) bool {
	return h.list.at(h.heap[i]).due < h.list.at(h.heap[j]).due
}

func (h *holds) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.list.at(h.heap[i]).heap = uint32(i) + 1
	h.list.at(h.heap[j]).heap = uint32(j) + 1
}

func (h *holds) up(i int) {
	for i > 0 && h.earlier(i, (i-1)/2) {
		h.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (h *holds) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.heap) {
			return
		}
		if child+1 < len(h.heap) && h.earlier(child+1, child) {
			child++
		}
		if !h.earlier(child, i) {
			return
		}
		h.swap(i, child)
		i = child
	}
}

// drop takes element i out of the heap.
func (h *holds) drop(i int) {
	last := len(h.heap) - 1
	h.swap(i, last)
	h.heap = h.heap[:last]
	if i < last {
		h.up(i)
		h.down(i)
	}
}

// due walks the top of the heap, breadth first, over holds that can expire at now.
func (h *holds) due(now holdfast.Time, max int) []holdfast.ID {
	var ids []holdfast.ID
	for queue := []int{0}; len(queue) > 0 && len(ids) < max; queue = queue[1:] {
		i := queue[0]
		if i >= len(h.heap) || h.list.at(h.heap[i]).due > now {
			continue
		}
		ids = append(ids, h.list.at(h.heap[i]).id)
		queue = append(queue, 2*i+1, 2*i+2)
	}
	return ids
}

func (s *State) exportHold(h *hold) OpenHold {
	return OpenHold{
		ID: h.id, Position: holdfast.Position{Index: h.index, Ord: h.ord}, Leg: h.leg,
		Debit: s.accounts.hot.at(h.debit).id(), Credit: s.accounts.hot.at(h.credit).id(),
		Amount: h.amount, Time: h.time, Due: h.due, Code: h.code, Ref: h.ref,
	}
}

// Hold returns an open hold.
func (s *State) Hold(id holdfast.ID) (OpenHold, bool) {
	n, ok := s.holds.find(id)
	if !ok {
		return OpenHold{}, false
	}
	return s.exportHold(s.holds.list.at(n)), true
}

// HoldsOf returns up to max open holds that have the account on either side, newest first.
func (s *State) HoldsOf(id holdfast.AccountID, max int) []OpenHold {
	ordinal, ok := s.accounts.find(&id, id.Hash())
	if !ok {
		return nil
	}
	var open []OpenHold
	for n := s.accounts.hot.at(ordinal).firstHold; n != 0 && len(open) < max; {
		h := s.holds.list.at(n - 1)
		open = append(open, s.exportHold(h))
		n = h.links[h.side(ordinal)].next
	}
	return open
}

// HoldWalk is a walk through the open holds of an account, newest first: in the order of their places, the same on every replica,
// whatever it was restored from.
type HoldWalk struct {
	Account holdfast.AccountID
	Before  Place // only holds that stand before it; zero: all
	Max     int
	Found   []OpenHold

	at holdfast.ID // hold to go on from
}

// holdsPerStep bounds what one step of a walk looks at: payments wait for it.
const holdsPerStep = 4096

// WalkHolds takes a walk one step further, and reports whether there is more to look at. An account may have a million open holds:
// take every step on its own. A hold that is opened or closed between two steps may be among those found, or not.
func (s *State) WalkHolds(w *HoldWalk) (more bool) {
	ordinal, ok := s.accounts.find(&w.Account, w.Account.Hash())
	if !ok {
		return false
	}
	n := s.resumeHolds(w, ordinal)
	for range holdsPerStep {
		if n == 0 || len(w.Found) >= w.Max {
			return false
		}
		h := s.holds.list.at(n - 1)
		if w.Before == (Place{}) || h.place().Compare(w.Before) < 0 {
			w.Found = append(w.Found, s.exportHold(h))
			w.Before = h.place()
		}
		n = h.links[h.side(ordinal)].next
	}
	if n == 0 {
		return false
	}
	w.at = s.holds.list.at(n - 1).id
	return true
}

// resumeHolds is the number plus 1 of the hold where a walk goes on: the first of all if that one was closed meanwhile.
func (s *State) resumeHolds(w *HoldWalk, ordinal uint32) uint32 {
	if n, ok := s.holds.find(w.at); ok {
		if h := s.holds.list.at(n); h.debit == ordinal || h.credit == ordinal {
			return n + 1
		}
	}
	return s.accounts.hot.at(ordinal).firstHold
}

func (h *hold) place() Place { return Place{holdfast.Position{Index: h.index, Ord: h.ord}, h.leg} }

// DueHolds returns up to max open holds that can expire at now; the earliest is among them.
func (s *State) DueHolds(now holdfast.Time, max int) []holdfast.ID { return s.holds.due(now, max) }
