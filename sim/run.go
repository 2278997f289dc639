package sim

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"
)

// Disk says on what the sites of a fleet store.
type Disk uint8

const (
	// ModelDisk is a disk in memory that knows which bytes are fsynced: fast, and can tear.
	ModelDisk Disk = iota
	// PebbleDisk is the real store on a file system in memory that can crash.
	PebbleDisk
)

// Options of a run. The zero value draws everything from the seed.
type Options struct {
	Sites  int       // 3 or 5; 0: drawn
	Shards int       // 1 to 3; 0: drawn
	Steps  int       // events of the phase with faults; 0: a few thousand, drawn
	Disk   Disk      //
	Calm   bool      // no faults at all: for measuring and for looking at traces
	Rot    bool      // no faults but one: a stored checkpoint is altered so that only the digests of the replicas can tell
	Unrest bool      // no faults but those around elections: some mistakes show only when terms follow each other quickly
	Slots  bool      // slots move between the shards, if there are several, and those who pay between shards are their owners
	Trades bool      // merchants and customers in all shards trade through package pay, if there are several shards and none is born
	Births bool      // the last shard is born while the others are at work, if there are several
	Sick   bool      // no faults but sites that are sick: slow disk, starved, losing frames, answering only some
	Moves  bool      // no faults but crashes, cuts, and disks and sites that come and go: some mistakes show only when members change often
	Trace  io.Writer // every event as a line of text; nil: only the tail is kept
}

// Result is what a run found.
type Result struct {
	Seed      uint64
	OK        bool
	Invariant string   // the short name of the broken invariant, for example "lost", "limit", "forgotten"; "" when OK
	Failure   string   // what disagrees, with the numbers
	Tail      []string // the last events before the failure
	Rerun     string   // the command line that runs it again
	Stats     Stats
	Slots     SlotStats // of a run in which slots move
	Births    BirthStats
	Sick      SickStats // of a run with sick sites
	Market    MarketStats
	TraceHash uint64 // over all events; the same seed and options give the same hash
}

// Stats counts what happened in a run, so that a test can see that nothing it promises to try was never tried.
type Stats struct {
	Steps                                                              int
	Virtual                                                            time.Duration
	Sent, Dropped, Doubled                                             int
	Crashes, Torn, Wipes, FsyncFailures, Cuts, ClockJumps, SlowDisks   int
	Runaways, Mistrusted                                               int
	Pauses, Bulks, Corrupt, Kept, Forgotten, Yields, FullDisks, NoRoom int
	Leaders, HandOvers, MemberChanges, Snapshots, Checkpoints          int
	Removals, TooFew, Returns, EarlyPromotions, Demotions              int
	Slept                                                              int
	Acknowledged, Refused, Unknown, NotExecuted, Replays, Reads        int
	PastReads, Closings                                                int
	Holds, Posts, Voids, Expired, Records, Messages                    int
	Entries                                                            int
	Crossed, CrossRefused, CrossHolds, CrossPosts                      int // between shards: settled, acknowledged
	CourierLands, Settles                                              int // proposed by couriers
	Ahead, Early                                                       int // entries that a follower knew to be committed first, answers that came of it
}

// Add adds the counts of another run.
func (s *Stats) Add(o *Stats) { s.add(o) }

// String tells how to run the seed again and, of a failed run, what broke and the last events.
func (r Result) String() string {
	if r.OK {
		return fmt.Sprintf("seed %d: good, %d events, %s", r.Seed, r.Stats.Steps, r.Stats.Virtual)
	}
	return fmt.Sprintf("seed %d: %s: %s\n  %s\nrun it again: %s", r.Seed, r.Invariant, r.Failure, strings.Join(r.Tail, "\n  "), r.Rerun)
}

// rerun is the command line for a seed with these options.
func (o *Options) rerun(seed uint64) string {
	text := fmt.Sprintf("holdfast sim --seed %d", seed)
	if o.Disk == PebbleDisk {
		text += " --pebble"
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"sites", o.Sites}, {"shards", o.Shards}, {"steps", o.Steps}} {
		if f.n != 0 {
			text += fmt.Sprintf(" --%s %d", f.name, f.n)
		}
	}
	if o.Slots {
		text += " --slots"
	}
	if o.Births {
		text += " --births"
	}
	if o.Trades {
		text += " --trades"
	}
	for _, f := range []struct {
		name string
		on   bool
	}{{"calm", o.Calm}, {"rot", o.Rot}, {"unrest", o.Unrest}, {"moves", o.Moves}, {"sick", o.Sick}} {
		if f.on {
			text += " --" + f.name
		}
	}
	return text + " --trace"
}

// Summary is the result of many runs.
type Summary struct {
	Runs   int
	Failed []Result
	Stats  Stats
}

// gcPercent is how much a run of many may let the heap grow between two collections. What one run keeps is some 20 MB.
const gcPercent = 800

// RunMany runs the seeds first, first+1, ... one after another until n have run or the context ends. each, when not nil, is
// called after every run; returning false ends it.
func RunMany(ctx context.Context, first uint64, n int, o Options, each func(Result) bool) Summary {
	// A run makes much garbage and keeps little: with the usual setting the collector runs a hundred times a second.
	defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	var s Summary
	for i := range n {
		if ctx.Err() != nil {
			return s
		}
		r := Run(first+uint64(i), o)
		s.Runs++
		s.Stats.Add(&r.Stats)
		if !r.OK {
			s.Failed = append(s.Failed, r)
		}
		if each != nil && !each(r) {
			return s
		}
	}
	return s
}
