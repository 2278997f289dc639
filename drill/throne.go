package drill

import (
	"context"
	"slices"
	"sync"
	"time"

	"holdfast"
)

// throne watches who leads which shard. It asks every site, and believes the one that speaks of the latest term.
type throne struct {
	fleet *fleet
	clock func() time.Duration

	mu     sync.Mutex
	reigns []Reign
	now    map[holdfast.ShardID]Reign
}

func newThrone(f *fleet, clock func() time.Duration) *throne {
	return &throne{fleet: f, clock: clock, now: map[holdfast.ShardID]Reign{}}
}

// watchPause is how often each site is asked: leaders that reign for less go unseen, which a count of changes can bear.
const watchPause = 40 * time.Millisecond

// watch asks until the context ends.
func (t *throne) watch(ctx context.Context) {
	var wg sync.WaitGroup
	for _, m := range t.fleet.sites {
		wg.Go(func() {
			for rest(ctx, watchPause) == nil {
				t.ask(ctx, m)
			}
		})
	}
	wg.Wait()
}

// ask asks one site. One that does not answer has nothing to say about who leads.
func (t *throne) ask(ctx context.Context, m *member) {
	ctx, cancel := context.WithTimeout(ctx, 250*time.Millisecond)
	defer cancel()
	shards, err := m.own.Shards(ctx)
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range shards {
		t.hear(shards[i].Shard, shards[i].Leader, shards[i].Term)
	}
}

func (t *throne) hear(shard holdfast.ShardID, leader holdfast.SiteID, term uint64) {
	if leader == 0 || term <= t.now[shard].Term {
		return
	}
	r := Reign{Shard: shard, Site: leader, Term: term, From: t.clock()}
	t.now[shard] = r
	t.reigns = append(t.reigns, r)
}

// leader is the last site known to lead the shard, 0 when none is.
func (t *throne) leader(shard holdfast.ShardID) holdfast.SiteID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.now[shard].Site
}

func (t *throne) history() []Reign {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.reigns)
}
