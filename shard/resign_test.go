package shard

import (
	"testing"
	"time"

	"holdfast"
)

// TestResign: a leader that hears nothing any more, and is still heard, says so when it stops: another one leads within the time of an
// election, and no election time-out passes first.
func TestResign(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		old := f.leader()
		f.pay(openTxn(1, 1, 2))
		var stopped, led time.Time
		f.mu.Lock()
		f.heard = func(id holdfast.SiteID, e Event) {
			switch {
			case e.Kind != EventLeader:
			case id == old && !e.Leader.Self && stopped.IsZero():
				stopped = time.Now()
			case id != old && e.Leader.Self && led.IsZero():
				led = time.Now()
			}
		}
		for _, other := range f.sites {
			f.cut[[2]holdfast.SiteID{other, old}] = true
		}
		f.mu.Unlock()
		f.until("another leader", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return !led.IsZero()
		})
		// Three messages of half a millisecond each and two writes; the least time-out is 100 ms, less the 20 since a heartbeat.
		if after := led.Sub(stopped); stopped.IsZero() || after < 0 || after > 20*time.Millisecond {
			t.Errorf("another one led %v after the old leader stopped", after)
		}
	})
}
