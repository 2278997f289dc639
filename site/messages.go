package site

import (
	"context"
	"errors"
	"fmt"

	"holdfast"
	"holdfast/shard"
)

// Messages of callers stay in the outbox of the shard that did their transaction until somebody who has read them says so. They are
// read again by whoever did not: a consumer gets each at least once, and knows it by its shard and number.

// ErrNoMessage says that a number is not that of a message which callers can acknowledge.
var ErrNoMessage = errors.New("no message of callers has had this number")

// Acknowledge drops messages of callers from the outbox of a shard, all or none; those that are gone already are no error. id is that of the
// transaction that does it. [ErrNoMessage], and nothing is dropped: a number has not been given yet, or belongs to the platform.
func (s *Site) Acknowledge(ctx context.Context, at holdfast.ShardID, id holdfast.ID, seqs []uint64) (holdfast.Outcome, error) {
	err := s.Read(ctx, at, shard.Linearizable, func(v *shard.View) error {
		for _, seq := range seqs {
			if !v.Acknowledgeable(seq) {
				return fmt.Errorf("message %d of shard %d: %w", seq, at, ErrNoMessage)
			}
		}
		return nil
	})
	if err != nil {
		return holdfast.Outcome{}, err
	}
	return s.proposeOwn(ctx, at, &holdfast.Txn{ID: id, Acks: seqs})
}
