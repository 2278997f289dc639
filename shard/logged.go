package shard

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"holdfast"
	"holdfast/ledger"
)

// What a site can swear to: that an entry of the log stands on its own disk, which one, and that it is committed.

// Logged is an entry of the log as it stands on this disk.
type Logged struct {
	Index, Term uint64
	Hash        [sha256.Size]byte // of its data
	// Committed says that this replica has applied it: a majority of the voters had it on their disks, so that every later leader has it too.
	Committed bool
}

// Logged reads an entry of the log. One that is not [Logged.Committed] may yet be replaced by another one.
func (v *View) Logged(index uint64) (Logged, error) {
	applied, _ := v.Applied()
	e, err := v.history.Logged(index)
	if err != nil {
		if index > applied { // the log may be cut there at this moment, which is no fault of the disk
			err = fmt.Errorf("entry %d is not on this disk: %v", index, err)
		}
		return Logged{}, err
	}
	return Logged{Index: e.Index, Term: e.Term, Hash: sha256.Sum256(e.Data), Committed: index <= applied}, nil
}

// Voters are the sites whose disks make a majority of this shard, as this replica knows, in order. While they are being replaced they are those
// who come and those who go.
func (v *View) Voters() (list []holdfast.SiteID) {
	v.machine.mu.RLock()
	defer v.machine.mu.RUnlock()
	for _, m := range v.machine.members.List {
		if m.Role&(Voter|OldVoter) != 0 && !slices.Contains(list, m.Site) {
			list = append(list, m.Site)
		}
	}
	slices.Sort(list)
	return list
}

// WrittenAt finds the transaction that was given a time, and where it stands: times rise strictly along the log. found is false when there is
// none, as for what was written in another shard and carried here.
func (v *View) WrittenAt(t holdfast.Time) (txn *holdfast.Txn, at holdfast.Position, found bool, err error) {
	last, now := v.Applied()
	if t <= 0 || t > now {
		return nil, at, false, nil
	}
	lo, hi := uint64(1), last+1 // the first entry stamped after t is between them
	for lo < hi {
		mid := lo + (hi-lo)/2
		index, stamp, err := v.stampFrom(mid, hi)
		switch {
		case err != nil:
			return nil, at, false, err
		case index < hi && stamp <= t:
			lo = index + 1
		default:
			hi = mid
		}
	}
	for index := lo - 1; index > 0; index-- { // back over those without a stamp
		e, err := v.history.Logged(index)
		if err != nil {
			return nil, at, false, err
		}
		if e.Type != EntryNormal || len(e.Data) == 0 {
			continue
		}
		h, _, err := ledger.ReadEntry(e.Data)
		if err != nil || t < h.Time || t-h.Time >= holdfast.Time(h.Count) {
			return nil, at, false, err
		}
		at = holdfast.Position{Index: index, Ord: uint32(t - h.Time)}
		txn, _, err = v.bodies.txn(at)
		return txn, at, err == nil, err
	}
	return nil, at, false, nil
}

// stampFrom is the first entry from index on and before end that has a time; end when there is none.
func (v *View) stampFrom(index, end uint64) (uint64, holdfast.Time, error) {
	for ; index < end; index++ {
		e, err := v.history.Logged(index)
		if err != nil {
			return end, 0, err
		}
		if e.Type != EntryNormal || len(e.Data) == 0 {
			continue // a leader's first word, or a change of members
		}
		h, _, err := ledger.ReadEntry(e.Data)
		return index, h.Time, err
	}
	return end, 0, nil
}

// maxUnapplied bounds what is looked through of the end of the log.
const maxUnapplied = 4 << 20

// Unapplied calls fn with the transactions at the end of the log that are on this disk and not known to be committed, oldest first, with the times that they
// were given, until it returns false. They may come to nothing.
func (v *View) Unapplied(fn func(*holdfast.Txn, holdfast.Time, holdfast.Position) bool) {
	applied, _ := v.Applied()
	list, err := v.history.Entries(applied+1, v.history.LastIndex()+1, maxUnapplied)
	if err != nil {
		return // the log has just been cut there: there is nothing to be told of
	}
	for _, e := range list {
		if e.Type != EntryNormal || len(e.Data) == 0 {
			continue
		}
		h, body, err := ledger.ReadEntry(e.Data)
		if err != nil || h.Kind != ledger.KindTxns {
			continue
		}
		for ord := range h.Count {
			t := new(holdfast.Txn)
			if body, err = ledger.ReadTxn(body, t); err != nil || !fn(t, h.Time+holdfast.Time(ord), holdfast.Position{Index: e.Index, Ord: ord}) {
				return
			}
		}
	}
}
