package drill

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Starved is a site that goes on answering, and gets hardly any processor.
const Starved Damage = "starved"

const (
	// Of a tenth of a second a starved process runs for a fifth: too little to lead well, and enough to send every heartbeat.
	starveStill = 80 * time.Millisecond
	starveRun   = 20 * time.Millisecond
	// leastStills is how often it has to be found stopped: in a second.
	leastStills = 10
)

// playSickLeader starves the site that leads, and then waits until it is at home again: ten seconds after it is well, and five more.
func playSickLeader(ctx context.Context, s *stage) error {
	if err := s.until(ctx, 0.1); err != nil {
		return err
	}
	id := s.leader(ctx)
	if id == 0 {
		return errNoLeader
	}
	target := strings.ToLower(s.fleet.site(id).name) + ":starved" // no loss that could be foretold
	return s.breaks(ctx, "leader-starved", target, id, nil, 0.3, s.starve, s.feed)
}

// stutter is a process that is stopped again and again.
type stutter struct {
	cancel context.CancelFunc
	done   chan struct{}
	stills int // how often it was found stopped
	err    error
}

func (s *stage) starve(ctx context.Context, m *member) error {
	ctx, cancel := context.WithCancel(ctx)
	x := &stutter{cancel: cancel, done: make(chan struct{})}
	s.stutter = x
	s.fleet.mark(m.id, Starved)
	go func() { // feed waits for it; the end of the drill ends it too
		defer close(x.done)
		x.err = x.run(ctx, m.proc)
	}()
	return nil
}

// run leaves the process running, whatever ends it.
func (x *stutter) run(ctx context.Context, p *process) error {
	for ctx.Err() == nil {
		if err := p.freeze(); err != nil {
			return err
		}
		_ = rest(ctx, starveStill)
		if standsStill(p.pid()) {
			x.stills++
		}
		if err := p.thaw(); err != nil {
			return err
		}
		_ = rest(ctx, starveRun)
	}
	return nil
}

func (s *stage) feed(_ context.Context, m *member) error {
	x := s.stutter
	x.cancel()
	<-x.done
	s.fleet.mark(m.id, Whole)
	s.see(len(s.faults)-1, x.err, func(seen *sighting) { seen.stills = x.stills })
	return nil
}

// stuttering is that a process was found stopped again and again.
func stuttering(f *Fault, _ *surroundings) string {
	if f.seen.stills < leastStills {
		return fmt.Sprintf("its process was found stopped %s", plural(f.seen.stills, "time"))
	}
	return ""
}

// leaving is that what was led from the sick site got another leader before it was well again: nobody else would have noticed.
func leaving(f *Fault, around *surroundings) string {
	sick := *around
	sick.until = f.Healed
	return succession(f, &sick)
}

// homecoming is that what was led from the sites before is led from there again.
func homecoming(f *Fault, around *surroundings) string {
	var list []string
	for _, shard := range shardsOf(around.reigns) {
		before, after := ledBy(around.reigns, shard, f.At), ledBy(around.reigns, shard, around.until)
		if slices.Contains(f.seen.sites, before) && before != after {
			list = append(list, fmt.Sprintf("shard %d was led by %s and has not come home", shard, SiteName(before)))
		}
	}
	return strings.Join(list, ", ")
}
