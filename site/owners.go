package site

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"holdfast"
	"holdfast/shard"
)

// ownerRecord is the record of the fleet that says which owner sequence is free next, in decimal. It is written with the
// version that was read, so that no two sites ever take the same numbers.
const ownerRecord = holdfast.ReservedPrefix + "owner-sequence"

// ownerBlock is how many numbers a site takes at once. They are gone when the site stops; there are a hundred million.
const ownerBlock = 1000

// slotStep spreads owners that are issued one after the other over all slots. It has no factor in common with Slots, so that
// every Slots numbers in a row fill each slot once.
const slotStep = 387

// ErrOwnersExhausted says that every owner number has been issued.
var ErrOwnersExhausted = errors.New("all owner numbers have been issued: a longer sequence needs a new release")

// owners issues owner numbers from a block that belongs to this site alone.
type owners struct {
	site *Site
	turn chan struct{} // holds one token; whoever has it owns the fields below
	next uint32
	end  uint32 // of the block; next == end: it is used up
}

func newOwners(s *Site) *owners {
	o := &owners{site: s, turn: make(chan struct{}, 1)}
	o.turn <- struct{}{}
	return o
}

// IssueOwner gives an owner number nobody has had before. A number may stay unused when its caller goes away. The errors are
// those of ctx and of package shard; nobody has got the number then.
func (s *Site) IssueOwner(ctx context.Context) (holdfast.Owner, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	o := s.owners
	select {
	case <-o.turn:
		defer func() { o.turn <- struct{}{} }()
	case <-ctx.Done():
		return 0, fmt.Errorf("issuing an owner number: %w: %w", shard.ErrTimeout, context.Cause(ctx))
	}
	for o.next == o.end {
		if err := o.reserve(ctx); err != nil {
			return 0, fmt.Errorf("issuing an owner number: %w", err)
		}
	}
	n := o.next
	o.next++
	return OwnerOf(n)
}

// OwnerOf is the owner number with this sequence, as [Site.IssueOwner] issues it. Each sequence is issued once at most, and 0 never: owner 0 is
// the platform itself.
func OwnerOf(sequence uint32) (holdfast.Owner, error) {
	return holdfast.NewOwner(sequence, holdfast.Slot(uint64(sequence)*slotStep%holdfast.Slots))
}

// reserve takes the next block. When another site was faster it takes none, and the caller tries again.
func (o *owners) reserve(ctx context.Context) error {
	if err := o.site.sure(); err != nil {
		return fmt.Errorf("%w: %w", shard.ErrNoQuorum, err)
	}
	first, version, err := o.free(ctx)
	if err != nil {
		return err
	}
	if first+ownerBlock-1 > holdfast.MaxOwnerSequence {
		return ErrOwnersExhausted
	}
	txn := holdfast.Txn{
		ID: freshID(time.Now()),
		Records: []holdfast.RecordChange{{
			Key: ownerRecord, Expect: version, Body: strconv.AppendUint(nil, uint64(first+ownerBlock), 10),
		}},
	}
	out, err := o.site.proposeOwn(ctx, o.site.ShardOfKey(ownerRecord), &txn)
	if err != nil {
		return err
	}
	return o.took(out, first)
}

// took reads the outcome of a reservation. An unknown one may have taken the block: it is left to nobody.
func (o *owners) took(out holdfast.Outcome, first uint32) error {
	switch {
	case out.Status == holdfast.Done:
		o.next, o.end = first, first+ownerBlock
		return nil
	case out.Code == holdfast.CodeRecordVersionMismatch, out.Code == holdfast.CodeRecordExists:
		return nil
	case out.Status == holdfast.Unknown:
		return shard.ErrNoQuorum
	}
	return errorOf(out.Code)
}

// free reads which sequence is free, and the version of the record that says so.
func (o *owners) free(ctx context.Context) (first uint32, version uint64, err error) {
	first = 1
	err = o.site.Read(ctx, o.site.ShardOfKey(ownerRecord), shard.Linearizable, func(v *shard.View) error {
		r, found, err := v.Record(ownerRecord)
		if err != nil || !found {
			return err
		}
		n, err := strconv.ParseUint(string(r.Body), 10, 32)
		if err != nil {
			return fmt.Errorf("record %s does not hold a number: %w", ownerRecord, err)
		}
		first, version = uint32(n), r.Version
		return nil
	})
	return first, version, err
}
