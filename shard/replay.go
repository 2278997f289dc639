package shard

import "context"

// replayBytes is how much of the log is read at once while it is replayed.
const replayBytes = 4 << 20

// Decided reads the entries after index that the disk knows to be committed, part by part; the last part is empty. What is committed
// is decided for ever, so it can be applied before consensus begins.
func Decided(log Log, index uint64) (next func() ([]Entry, error)) {
	end := min(log.Hard().Commit, log.LastIndex()) + 1
	return func() ([]Entry, error) {
		if index+1 >= end {
			return nil, nil
		}
		list, err := log.Entries(index+1, end, replayBytes)
		index += uint64(len(list))
		return list, err
	}
}

// ahead reads one part while the one before is used. It reads on until the end, an error, or the end of ctx.
func ahead(ctx context.Context, next func() ([]Entry, error)) func() ([]Entry, error) {
	type part struct {
		list []Entry
		err  error
	}
	parts := make(chan part, 1)
	go func() { // ends with ctx, or with the parts
		defer close(parts)
		for {
			list, err := next()
			if len(list) == 0 && err == nil {
				return
			}
			select {
			case parts <- part{list, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return func() ([]Entry, error) {
		p := <-parts
		return p.list, p.err
	}
}

// replay applies what is committed after the checkpoint. Consensus could hand the same entries out, but only after it has read all of
// them in search of changes of membership, and on one core. It stops before such a change: that is for both to follow, in step. It stops
// as well after a digest that differs.
func (l *life) replay() error {
	ctx, cancel := context.WithCancel(l.seat.host.ctx)
	defer cancel()
	l.machine.Replaying(true)
	defer l.machine.Replaying(false)
	index, _ := l.machine.Applied()
	for next := ahead(ctx, Decided(l.seat.shard, index)); ; {
		list, err := next()
		if err != nil || len(list) == 0 {
			return err
		}
		l.seat.comes(list[0].Index - 1)
		for _, e := range list {
			if e.Type != EntryNormal {
				return nil
			}
			if err := l.again(e); err != nil {
				return err
			}
			if l.machine.Doubted() {
				return nil // the others are asked first: a state in doubt makes no checkpoints, and the rest may be long
			}
		}
	}
}

// comes makes visible to Status how far a replica is that loads its checkpoint or replays its log.
func (s *seat) comes(applied uint64) {
	s.status.Store(&ShardStatus{Born: true, Applied: applied, Node: NodeStatus{Commit: min(s.shard.Hard().Commit, s.shard.LastIndex())}})
}

// again applies an entry that nobody waits for.
func (l *life) again(e Entry) error {
	if err := l.awaitStore(); err != nil {
		return err
	}
	_, room := l.roomFor(e)
	if _, err := l.machine.Apply(e, room); err != nil {
		return err
	}
	l.seal()
	return nil
}
