package site

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"holdfast"
)

// slotMeter counts, by slot, the transactions that callers bring to this site, so that a plan can say what moving a slot would
// take off a shard.
type slotMeter struct {
	counts [holdfast.Slots]atomic.Uint64
	rates  atomic.Pointer[map[holdfast.Slot]float64] // a second, smoothed; without those that are nearly nothing

	// The forecaster's goroutine only:
	last [holdfast.Slots]uint64
	at   time.Duration
}

// count notes whom a transaction is about.
func (m *slotMeter) count(t *holdfast.Txn) {
	for i := range t.Records {
		if owner := holdfast.OwnerOfKey(t.Records[i].Key); owner != 0 && len(t.Transfers) == 0 {
			m.counts[owner.Slot()].Add(1)
		}
	}
	for i := range t.Transfers {
		leg := &t.Transfers[i]
		if leg.Debit.Owner != 0 {
			m.counts[leg.Debit.Owner.Slot()].Add(1)
		}
		if leg.Credit.Owner != 0 {
			m.counts[leg.Credit.Owner.Slot()].Add(1)
		}
	}
}

// least is a rate that is not told: a slot of which nobody has heard for a while.
const least = 0.01

// tick works the rates out anew.
func (m *slotMeter) tick(now time.Duration) {
	seconds, old := (now - m.at).Seconds(), map[holdfast.Slot]float64{}
	if before := m.rates.Load(); before != nil {
		old = *before
	}
	next := map[holdfast.Slot]float64{}
	for i := range m.counts {
		slot, n := holdfast.Slot(i), m.counts[i].Load()
		if seconds > 0 {
			rate := old[slot] + (float64(n-m.last[i])/seconds-old[slot])/rateSmoothing
			if rate > least {
				next[slot] = rate
			}
		}
		m.last[i] = n
	}
	m.at = now
	m.rates.Store(&next)
}

// slotRates is what one site says.
type slotRates struct {
	Rates map[holdfast.Slot]float64 `json:"rates"`
}

func (s *Site) slotRatesHere() (r slotRates) {
	if now := s.meter.rates.Load(); now != nil {
		r.Rates = *now
	}
	return r
}

// askSlotRates adds up what the sites say. One that does not answer takes nothing, as far as anybody knows.
func (s *Site) askSlotRates(ctx context.Context) map[holdfast.Slot]float64 {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timing.QuorumSilence.Std())
	defer cancel()
	sum := map[holdfast.Slot]float64{}
	var mu sync.Mutex // guards sum
	add := func(r slotRates) {
		mu.Lock()
		defer mu.Unlock()
		for slot, rate := range r.Rates {
			sum[slot] += rate
		}
	}
	add(s.slotRatesHere())
	var all sync.WaitGroup
	for _, p := range s.peers() {
		all.Go(func() {
			if r, err := askJSON[slotRates](ctx, s, p.Site, methodSlotRates, struct{}{}); err == nil {
				add(r)
			}
		})
	}
	all.Wait()
	return sum
}
