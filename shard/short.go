package shard

import (
	"errors"
	"time"

	"holdfast"
	"holdfast/store"
)

// shortage is why a checkpoint is not fetched: this disk has no room for it.
type shortage struct {
	from holdfast.SiteID
	*store.ErrNoSpace
	at time.Time // when that was found last
}

// shortLasts is how long a shortage is believed in of which nothing was heard: the offers may have stopped because the log came after all.
const shortLasts = 30 * time.Second

// text says what an operator has to know; "" when there is nothing.
func (x *shortage) text() string {
	if x == nil || time.Since(x.at) > shortLasts {
		return ""
	}
	return "this replica waits for space to fetch a checkpoint: " + x.ErrNoSpace.Error()
}

// shortOf makes a shortage known, if err is one, and gives err back. A disk that is full by now gets back what was fetched: the log of all
// shards here needs it more.
func (s *seat) shortOf(from holdfast.SiteID, err error) error {
	none := (*store.ErrNoSpace)(nil)
	if !errors.As(err, &none) {
		return err
	}
	now := &shortage{from, none, time.Now()}
	if s.short.Swap(now).text() == "" {
		s.host.config.OnEvent(Event{Kind: EventNoSpace, Shard: s.id, Text: now.text()})
	}
	if full, _, unknown := s.host.config.Store.DiskFull(); unknown == nil && full {
		return errors.Join(err, s.shard.DropImport())
	}
	return err
}

// stillShort spares everybody the question when the room that was missing is missing still.
func (s *seat) stillShort(from holdfast.SiteID) error {
	x := s.short.Load()
	if x == nil || x.from != from || x.text() == "" {
		return nil
	}
	_, free, err := s.host.config.Store.DiskFull()
	if err != nil || free >= x.Need {
		return nil //nolint:nilerr // unknown is not full
	}
	return s.shortOf(from, &store.ErrNoSpace{Need: x.Need, Free: free})
}

// dropFetched gives back what was fetched of checkpoints while the disk is full. What is being fetched sees to that itself.
func (h *Host) dropFetched() {
	for _, s := range *h.seats.Load() {
		if s.pulling.Swap(true) {
			continue
		}
		if err := s.shard.DropImport(); err != nil {
			h.die(err)
		}
		s.pulling.Store(false)
	}
}
