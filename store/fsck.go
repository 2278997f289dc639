package store

import (
	"errors"
	"fmt"
	"slices"

	"holdfast"
	"holdfast/ledger"
)

// Depth says how much Fsck reads.
type Depth int

const (
	// FsckQuick verifies the checkpoint (accounts, holds, outbox and totals agree) and every entry after it.
	FsckQuick Depth = iota + 1
	// FsckEntries also verifies every entry of the journal.
	FsckEntries
	// FsckAll also follows every index row into the journal and compares every account with the end of its statement.
	FsckAll
)

// Finding is something on the disk that is not as it should be.
type Finding struct {
	Shard  holdfast.ShardID
	Key    string // where, readable; "" when it is about more than one place; a directory when it is about the whole store
	What   string
	Advice string
}

const adviseRebuild = "wipe this replica and let it rebuild itself from the other sites; " +
	"keep a copy of the directory if this is the only one"

// fsck checks one shard. It stops when it has found enough.
type fsck struct {
	shard  *Shard
	max    int
	found  []Finding
	recent map[uint64][]txnIDs // of log entries that rows pointed to lately
	order  []uint64            // of recent, oldest first
}

// txnIDs is what rows may say of one transaction in the journal.
type txnIDs struct {
	id   holdfast.ID
	legs []holdfast.ID
	refs []holdfast.Ref
}

// Fsck reads and verifies every shard; it repairs nothing, and may run beside payments. It stops after max findings per shard.
// An error means that it could not go on, not that something is wrong on the disk.
func (s *Store) Fsck(depth Depth, max int) ([]Finding, error) {
	var all []Finding
	for _, id := range s.Shards() {
		f := &fsck{shard: s.Shard(id), max: max, recent: map[uint64][]txnIDs{}}
		if err := f.run(depth); err != nil {
			return all, fmt.Errorf("checking shard %d: %w", id, err)
		}
		all = append(all, f.found...)
	}
	return all, nil
}

// errEnough ends a check that has found enough.
var errEnough = errors.New("enough findings")

func (f *fsck) run(depth Depth) error {
	steps := []func() error{f.checkpoint, func() error { return f.entries(f.settled()+1, f.shard.LastIndex()) }}
	if depth >= FsckEntries {
		steps = append(steps, func() error { return f.entries(1, f.settled()) })
	}
	if depth >= FsckAll {
		steps = append(steps, f.accounts, f.ids, f.refs, f.records)
	}
	for _, step := range steps {
		err := f.corrupt(step())
		if errors.Is(err, errEnough) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *fsck) settled() uint64 {
	meta, _ := f.shard.Meta()
	return meta.Index
}

// corrupt turns corruption into a finding and passes other errors on.
func (f *fsck) corrupt(err error) error {
	if c := (*ErrCorrupt)(nil); errors.As(err, &c) {
		what := c.What
		if c.Err != nil {
			what += ": " + c.Err.Error()
		}
		return f.add(c.Key, "%s", what)
	}
	return err
}

func (f *fsck) add(key []byte, format string, args ...any) error {
	finding := Finding{Shard: f.shard.id, What: fmt.Sprintf(format, args...), Advice: adviseRebuild}
	if len(key) > 0 {
		finding.Key = keyText(key)
	}
	f.found = append(f.found, finding)
	if len(f.found) >= f.max {
		return errEnough
	}
	return nil
}

// checkpoint loads it as a start would, and counts the books anew.
func (f *fsck) checkpoint() error {
	state, err := f.shard.Load()
	if err != nil {
		return err
	}
	if _, err := state.Recount(); err != nil {
		return f.add(shardKey(f.shard.id, kindMeta), "the books of the checkpoint do not balance: %v", err)
	}
	return nil
}

// entries verifies those from lo to hi one by one, so that one bad entry does not hide the next.
func (f *fsck) entries(lo, hi uint64) error {
	for i := lo; i <= hi; i++ {
		if _, err := f.shard.entryFromDisk(i); err != nil {
			if err := f.corrupt(err); err != nil {
				return err
			}
		}
	}
	return nil
}

// accounts compares every account with the last row of its statement, both as of one checkpoint.
func (f *fsck) accounts() (err error) {
	snapshot := f.shard.store.state.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	meta, err := readSmall(f.shard, snapshot, kindMeta, readMeta)
	if err != nil || meta == nil {
		return err
	}
	return f.shard.scanAccounts(snapshot, f.shard.allAccounts(), func(a *holdfast.Account) error {
		row, found, err := f.shard.BalanceAt(a.ID, meta.Time)
		if err != nil {
			return err
		}
		key := accountKey(nil, f.shard.id, a.ID)
		if !found {
			return f.add(key, "account %s has no statement", a.ID)
		}
		if row.DebitsPosted != a.DebitsPosted || row.CreditsPosted != a.CreditsPosted ||
			row.DebitsPending != a.DebitsPending || row.CreditsPending != a.CreditsPending || row.Flags != a.Flags {
			return f.add(key, "account %s differs from the last row of its statement, of entry %d", a.ID, row.Index)
		}
		return nil
	})
}

// ids follows every id into the journal.
func (f *fsck) ids() error {
	lo, hi := shardKey(f.shard.id, kindID), shardKey(f.shard.id, kindID+1)
	return f.shard.scan(f.shard.store.state, lo, hi, func(key, value []byte) error {
		trace, err := readTrace(key, value)
		if err != nil || len(key) != keyHead+16 {
			return f.add(key, "the row of an id cannot be decoded")
		}
		txn, err := f.txn(trace.Position)
		if err != nil {
			return err
		}
		id := holdfast.ID(key[keyHead:])
		if txn == nil || txn.id != id && !slices.Contains(txn.legs, id) {
			return f.add(key, "id %s points to transaction %d of entry %d, which is another or none", id, trace.Ord, trace.Index)
		}
		return nil
	})
}

func (f *fsck) refs() error {
	lo, hi := shardKey(f.shard.id, kindRef), shardKey(f.shard.id, kindRef+1)
	return f.shard.scan(f.shard.store.state, lo, hi, func(key, value []byte) error {
		row, err := readRef(key, value)
		if err != nil {
			return f.add(key, "the row of a reference cannot be decoded")
		}
		txn, err := f.txn(row.Position)
		if err != nil {
			return err
		}
		if txn == nil || !slices.Contains(txn.refs, row.Ref) {
			return f.add(key, "reference %s points to transaction %d of entry %d, which has no such leg", row.Ref, row.Ord, row.Index)
		}
		return nil
	})
}

// records looks for the record of every index key.
func (f *fsck) records() error {
	lo, hi := shardKey(f.shard.id, kindRecord), shardKey(f.shard.id, kindOwned+1)
	return f.shard.scan(f.shard.store.state, lo, hi, func(key, value []byte) error {
		record, err := readRecord(key, value)
		if err != nil {
			return f.add(key, "the record cannot be decoded")
		}
		for _, index := range record.Index {
			if err := f.indexed(&record, index); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *fsck) indexed(record *holdfast.Record, index string) error {
	key := append(indexPrefix(nil, f.shard.id, index), record.Key...)
	found := false
	if err := f.shard.lookUp(key, func([]byte) error { found = true; return nil }); err != nil {
		return err
	}
	if !found {
		return f.add(key, "a record of version %d cannot be found under one of its index keys", record.Version)
	}
	return nil
}

// recentEntries bounds how many decoded entries are kept: rows in the order of their ids mostly point to the same few.
const recentEntries = 32

// txn returns what stands at a position of the journal; nil when there is nothing.
func (f *fsck) txn(p holdfast.Position) (*txnIDs, error) {
	txns, ok := f.recent[p.Index]
	if !ok {
		var err error
		if txns, err = f.decode(p.Index); err != nil {
			return nil, err
		}
		f.recent[p.Index] = txns
		if f.order = append(f.order, p.Index); len(f.order) > recentEntries {
			delete(f.recent, f.order[0])
			f.order = f.order[1:]
		}
	}
	if int64(p.Ord) >= int64(len(txns)) {
		return nil, nil
	}
	return &txns[p.Ord], nil
}

// decode lists the transactions of an entry; none, with a finding, when it cannot be read.
func (f *fsck) decode(index uint64) ([]txnIDs, error) {
	key := entryKey(nil, f.shard.id, index)
	if index == 0 || index > f.settled() {
		return nil, f.add(key, "an index row points to entry %d, beyond the checkpoint", index)
	}
	data, err := f.shard.Entry(index)
	if err != nil {
		return nil, f.corrupt(err)
	}
	header, body, err := ledger.ReadEntry(data)
	if err != nil {
		return nil, f.add(key, "entry %d cannot be decoded: %v", index, err)
	}
	txns := make([]txnIDs, header.Count)
	var txn holdfast.Txn
	for i := range txns {
		if body, err = ledger.ReadTxn(body, &txn); err != nil {
			return nil, f.add(key, "transaction %d of entry %d cannot be decoded: %v", i, index, err)
		}
		txns[i].id = txn.ID
		for j := range txn.Transfers {
			txns[i].legs = append(txns[i].legs, txn.Transfers[j].ID)
			txns[i].refs = append(txns[i].refs, txn.Transfers[j].Ref)
		}
	}
	return txns, nil
}
