package store

import (
	"bytes"
	"errors"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"holdfast"
	"holdfast/ledger"
)

// Find implements [ledger.Past]. An id that carries a time from which nothing has been persisted is answered without the
// disk; others cost a filter per level, or a block.
func (sh *Shard) Find(id holdfast.ID) (trace ledger.Trace, found bool, err error) {
	if sh.surelyNew(&id) {
		return trace, false, sh.usable()
	}
	var buf [keyHead + 16]byte
	key := idKey(buf[:0], sh.id, &id)
	err = sh.lookUp(key, func(value []byte) (err error) {
		found = true
		trace, err = readTrace(key, value)
		return err
	})
	return trace, found, err
}

func (sh *Shard) surelyNew(id *holdfast.ID) bool {
	ms, ok := idTime(id)
	if !ok {
		return false
	}
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return !sh.known.covers(ms)
}

// lookUp calls use with the value of key in the checkpoint, if there is one.
func (sh *Shard) lookUp(key []byte, use func(value []byte) error) error {
	return sh.with(func(it *pebble.Iterator) error {
		if !it.SeekPrefixGE(key) || !bytes.Equal(it.Key(), key) {
			return nil
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return sh.readError(0, key, err)
		}
		return use(value)
	})
}

// Record implements [ledger.Past]: the record as of the checkpoint.
func (sh *Shard) Record(key string) (record holdfast.Record, found bool, err error) {
	at := recordKey(nil, sh.id, key)
	err = sh.lookUp(at, func(value []byte) (err error) {
		found = true
		record, err = readRecord(at, value)
		return err
	})
	return record, found, err
}

// Statement returns rows of an account older than before (0: all), newest first, up to max. Rows of one transaction are
// never torn apart: when the last of max rows shares its Time with older ones, those are returned as well. Account and
// Prev of the rows are zero.
func (sh *Shard) Statement(account holdfast.AccountID, before holdfast.Time, max int) ([]ledger.Row, error) {
	last := holdfast.Time(math.MaxInt64)
	if before > 0 {
		last = before - 1
	}
	var out, block []ledger.Row
	err := sh.with(func(it *pebble.Iterator) error {
		from, to := blockKey(nil, sh.id, account, 0), blockKey(nil, sh.id, account, last)
		for ok := it.SeekLT(append(to, 0)); ok && bytes.Compare(it.Key(), from) >= 0 && len(out) < max; ok = it.Prev() {
			var err error
			if block, err = sh.block(it, last, block[:0]); err != nil {
				return err
			}
			slices.Reverse(block)
			out = append(out, upTo(block, max-len(out))...)
		}
		return nil
	})
	return out, err
}

// upTo cuts rows, newest first, after max of them or after the transaction that the last one belongs to.
func upTo(rows []ledger.Row, max int) []ledger.Row {
	if len(rows) <= max {
		return rows
	}
	n := max
	for n < len(rows) && n > 0 && rows[n].Time == rows[n-1].Time {
		n++
	}
	return rows[:n]
}

// block reads the rows of the block under the iterator up to and including the Time last.
func (sh *Shard) block(it *pebble.Iterator, last holdfast.Time, rows []ledger.Row) ([]ledger.Row, error) {
	if len(it.Key()) != blockKeyBytes {
		return nil, &ErrCorrupt{Shard: sh.id, Key: slices.Clone(it.Key()), What: "the key of a block has a wrong length"}
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return nil, sh.readError(0, it.Key(), err)
	}
	return readBlock(it.Key(), value, last, rows)
}

// BalanceAt returns the newest row of an account at or before t; false when the account was not open yet, or is unknown to
// the checkpoint.
func (sh *Shard) BalanceAt(account holdfast.AccountID, t holdfast.Time) (row ledger.Row, found bool, err error) {
	if t < 0 || t == math.MaxInt64 {
		t = min(max(t, 0), math.MaxInt64-1)
	}
	rows, err := sh.Statement(account, t+1, 1)
	if err != nil || len(rows) == 0 {
		return ledger.Row{}, false, err
	}
	return rows[0], true, nil
}

// ByRef returns up to max transfers that carry ref and stand before a place (zero: all), newest first. Prev of the rows is zero.
func (sh *Shard) ByRef(ref holdfast.Ref, before ledger.Place, max int) ([]ledger.RefRow, error) {
	var out []ledger.RefRow
	prefix := append(shardKey(sh.id, kindRef), ref[:]...)
	end := after(prefix)
	if before != (ledger.Place{}) {
		end = refKey(nil, sh.id, ref, before.Position, before.Leg)
	}
	err := sh.with(func(it *pebble.Iterator) error {
		for ok := it.SeekLT(end); ok && bytes.HasPrefix(it.Key(), prefix) && len(out) < max; ok = it.Prev() {
			row, err := sh.refRow(it)
			if err != nil {
				return err
			}
			out = append(out, row)
		}
		return nil
	})
	return out, err
}

func (sh *Shard) refRow(it *pebble.Iterator) (ledger.RefRow, error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return ledger.RefRow{}, sh.readError(0, it.Key(), err)
	}
	return readRef(it.Key(), value)
}

// after returns the smallest key above all that begin with prefix, whose last byte is never 0xff in our keys or followed
// by fewer than eight more.
func after(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for i := len(end) - 1; ; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
}

// Records returns up to max records that carry the index key, with a Key above after, in order of Key: all of them as one
// checkpoint has them, whatever is persisted meanwhile.
func (sh *Shard) Records(index, after string, max int) (out []holdfast.Record, err error) {
	err = sh.with(func(it *pebble.Iterator) error {
		for _, key := range sh.indexed(it, index, after, max) {
			at := recordKey(nil, sh.id, key)
			if !it.SeekGE(at) || !bytes.Equal(it.Key(), at) {
				if it.Error() != nil {
					return nil // with reports it
				}
				return &ErrCorrupt{Shard: sh.id, Key: at, What: "an index names a record that is not there"}
			}
			value, err := it.ValueAndErr()
			if err != nil {
				return sh.readError(0, at, err)
			}
			record, err := readRecord(at, value)
			if err != nil {
				return err
			}
			out = append(out, record)
		}
		return nil
	})
	return out, err
}

// OwnedRecords returns up to max records of the owners of a slot whose Key begins with prefix and is above after, in order of Key, as one
// checkpoint has them.
func (sh *Shard) OwnedRecords(slot holdfast.Slot, prefix, after string, max int) (out []holdfast.Record, err error) {
	head := slotKey(nil, sh.id, slot)
	within := append(slices.Clone(head), prefix...)
	start := within
	if after >= prefix {
		start = append(append(slices.Clone(head), after...), 0)
	}
	err = sh.with(func(it *pebble.Iterator) error {
		for ok := it.SeekGE(start); ok && bytes.HasPrefix(it.Key(), within) && len(out) < max; ok = it.Next() {
			value, err := it.ValueAndErr()
			if err != nil {
				return sh.readError(0, it.Key(), err)
			}
			record, err := readRecord(it.Key(), value)
			if err != nil {
				return err
			}
			out = append(out, record)
		}
		return nil
	})
	return out, err
}

// indexed returns the keys of records under an index key.
func (sh *Shard) indexed(it *pebble.Iterator, index, after string, max int) (keys []string) {
	prefix := indexPrefix(nil, sh.id, index)
	start := append(slices.Clone(prefix), after...)
	for ok := it.SeekGE(append(start, 0)); ok && bytes.HasPrefix(it.Key(), prefix) && len(keys) < max; ok = it.Next() {
		keys = append(keys, string(it.Key()[len(prefix):]))
	}
	return keys
}

// Outbox returns up to max undelivered messages of the checkpoint with a Seq above after, in order.
func (sh *Shard) Outbox(after uint64, max int) (out []holdfast.Queued, err error) {
	if after == math.MaxUint64 {
		return nil, nil
	}
	err = sh.scan(sh.store.state, outboxKey(nil, sh.id, after+1), shardKey(sh.id, kindOutbox+1), func(key, value []byte) error {
		if len(out) >= max {
			return errStop
		}
		q, err := readQueued(key, value)
		out = append(out, q)
		return err
	})
	return out, err
}

// OpenHolds calls yield with every open hold of the checkpoint, in order of id, until it answers false.
func (sh *Shard) OpenHolds(yield func(*ledger.OpenHold) bool) error {
	return sh.scanHolds(sh.store.state, yield)
}

func (sh *Shard) scanHolds(r pebble.Reader, yield func(*ledger.OpenHold) bool) error {
	return sh.scan(r, shardKey(sh.id, kindOpenHold), shardKey(sh.id, kindOpenHold+1), func(key, value []byte) error {
		h, err := readHold(key, value)
		if err == nil && !yield(&h) {
			return errStop
		}
		return err
	})
}

// errStop ends a scan early; nobody outside sees it.
var errStop = errors.New("stop")

// scan calls use with every key and value of r from lo up to but without hi. They are only good during the call.
func (sh *Shard) scan(r pebble.Reader, lo, hi []byte, use func(key, value []byte) error) error {
	if err := sh.usable(); err != nil {
		return err
	}
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return sh.readError(0, nil, err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return errors.Join(sh.readError(0, it.Key(), err), it.Close())
		}
		if err := use(it.Key(), value); err != nil {
			if err == errStop {
				return sh.closed(it)
			}
			return errors.Join(err, it.Close())
		}
	}
	return sh.closed(it)
}
