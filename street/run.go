package street

import (
	"context"
	"fmt"
	"time"
)

const (
	// A recorded minute without an order lasts perMinute; but between two orders is never less than shortest nor more than longest.
	perMinute = 70 * time.Millisecond
	shortest  = 80 * time.Millisecond
	longest   = 600 * time.Millisecond
	// saveEvery is after how many orders the street remembers where it is. What is done again after a crash is done once.
	saveEvery = 20
	// gives is after how many errors in a row the street closes, and sulks how long it waits after one.
	gives = 30
	sulks = time.Second
)

// Run replays the recorded orders until the context ends or there are none left, and says which.
func (s *Street) Run(ctx context.Context) (said string, err error) {
	errs := 0
	for ; s.state.Next < len(s.trade.Events); s.state.Next++ {
		if err := s.replay(ctx, s.state.Next); err != nil && ctx.Err() == nil {
			if errs++; errs >= gives {
				return "", fmt.Errorf("no order could be replayed for a while: %w", err)
			}
			_ = rest(ctx, sulks)
		} else {
			errs = 0
		}
		if s.state.Next%saveEvery == 0 {
			if err := s.save(); err != nil {
				return "", err
			}
		}
		if rest(ctx, s.gap()) != nil {
			s.state.Next++
			return "", s.save()
		}
	}
	return fmt.Sprintf("All %d recorded orders and refunds have been replayed. The street is quiet from now on.", len(s.trade.Events)), s.save()
}

// gap is how long it is until the next order.
func (s *Street) gap() time.Duration {
	next := s.state.Next + 1
	if next >= len(s.trade.Events) {
		return 0
	}
	recorded := s.trade.Events[next].At.Sub(s.trade.Events[next-1].At)
	gap := min(max(shortest, time.Duration(recorded.Minutes()*float64(perMinute))), longest)
	return time.Duration(float64(gap) / s.cfg.Fast)
}
