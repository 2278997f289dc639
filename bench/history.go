package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"holdfast"
	"holdfast/shard"
	"holdfast/site"
)

var historyCases = []kase{{name: "history", several: histories}}

const (
	historyTransfers = 100_000_000
	transferBytes    = 300 // on disk, for a transfer of a batch, and a bit to spare
	lookedUp         = 50_000
	lookers          = 4
	probeStep        = 5 * time.Millisecond
	easyPerSecond    = 100_000 // bulk beside which the pauses of checkpoints are measured
)

// historian commits a long history at a site in this process, and measures what became heavier by it.
type historian struct {
	*committer
	o         *Options
	ground    *ground
	transfers int
	results   []Result

	young memory // after a tenth of the history
	old   memory // at the end

	checks sync.Mutex // guards what follows
	made   []shard.CheckpointMade
}

// histories measures what a long history costs: memory, disk, look-ups, restarts; and how long checkpoints stop payments.
func histories(ctx context.Context, o *Options) (list []Result, err error) {
	h := &historian{o: o, transfers: cmp.Or(o.Transfers, historyTransfers)}
	if err := needSpace(o.Dir, int64(h.transfers)*transferBytes+4<<30); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.Dir, "holdfast-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the site: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if h.ground, err = newGround(ctx, o, dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.ground.close()) }()
	every := max(1, h.transfers/(lookedUp+lookedUp/10)) // a tenth to spare: callers begin each batch at another place
	h.committer = &committer{o: o, sites: 1, cast: newCast(commitAccounts), every: min(every, batchSize)}
	if err := h.live(ctx); err != nil {
		return h.results, err
	}
	return h.results, h.restart(ctx)
}

// live is the life of the site in this process.
func (h *historian) live(ctx context.Context) (err error) {
	stop, err := h.open(ctx, h.ground.fleet.Config(1), site.Options{OnCheckpoint: h.checkpoint}, func() error { return nil })
	defer func() { err = errors.Join(err, stop()) }()
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{h.fund, h.commit, h.easy, h.lookups, h.missing} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (h *historian) checkpoint(c shard.CheckpointMade) {
	h.checks.Lock()
	defer h.checks.Unlock()
	h.made = append(h.made, c)
}

// checkpoints made since the last call.
func (h *historian) checkpoints() []shard.CheckpointMade {
	h.checks.Lock()
	defer h.checks.Unlock()
	made := h.made
	h.made = nil
	return made
}

// settled is the memory of this process without what only waits to be collected.
func settled() memory {
	debug.FreeOSMemory()
	return memoryOf(os.Getpid())
}

// commit writes the history: first a tenth of it, to know the memory then, and the rest.
func (h *historian) commit(ctx context.Context) error {
	var waits times
	var probes []probe
	total, took, used := 0, time.Duration(0), processorOf(os.Getpid())
	for _, part := range []int{h.transfers / 10, h.transfers - h.transfers/10} {
		began := time.Now()
		sent, w, p, err := h.stretch(ctx, part)
		total, took = total+sent, took+time.Since(began)
		waits, probes = append(waits, w...), append(probes, p...)
		if err != nil {
			return err
		}
		if h.old = settled(); h.young.resident == 0 {
			h.young = h.old
		}
		h.o.Say(fmt.Sprintf("history: %d transfers, %.0f a second, %d MiB resident", total, rate(total, took), mib(h.old.resident)))
	}
	bytes, err := sizeOf(h.ground.data)
	if err != nil {
		return err
	}
	h.transfers = total
	p50, p99 := waits.quantiles()
	config := h.pauses(probes, h.checkpoints())
	config["transfers"], config["per_batch"], config["callers"], config["accounts"] = total, batchSize, batchers, commitAccounts
	config["latency_of"], config["fsync"], config["layout"] = "a batch", true, "1 site, callers inside its process"
	config["load_average"], config["cpu_s"] = others(), seconds(processorOf(os.Getpid())-used)
	config["disk_bytes_per_transfer"] = math.Round(float64(bytes) / float64(max(1, total)))
	config["rss_mib_after_a_tenth"], config["rss_mib_at_the_end"] = mib(h.young.resident), mib(h.old.resident)
	h.add("history-commit", Result{PerS: rate(total, took), P50: p50, P99: p99, Seconds: seconds(took), Config: config})
	return nil
}

func (h *historian) add(name string, r Result) {
	r.Name = name
	h.results = append(h.results, r)
}

// stretch commits so many transfers in batches, with single payments beside them.
func (h *historian) stretch(ctx context.Context, transfers int) (sent int, waits times, probes []probe, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	batches := (transfers + batchSize - 1) / batchSize
	var mu sync.Mutex
	more := func() bool {
		mu.Lock()
		defer mu.Unlock()
		batches--
		return batches >= 0
	}
	done := make(chan struct{})
	var group sync.WaitGroup
	var probed error
	group.Go(func() { probes, probed = h.probe(ctx, done) })
	sent, waits, err = h.bulk(ctx, more)
	close(done)
	group.Wait()
	return sent, waits, probes, errors.Join(err, probed)
}

// probe sends single payments at a steady rate until done.
func (h *historian) probe(ctx context.Context, done <-chan struct{}) (all []probe, err error) {
	const slice = 250 * time.Millisecond
	for began := time.Now(); ; began = began.Add(slice) {
		select {
		case <-done:
			return all, nil
		default:
		}
		some, err := h.steady(ctx, began, began.Add(slice), probeStep)
		if all = append(all, some...); err != nil {
			return all, err
		}
	}
}

// pauses says how long single payments waited while a checkpoint was being made and while none was, and how long payments
// stood still for the checkpoints themselves.
func (h *historian) pauses(probes []probe, made []shard.CheckpointMade) map[string]any {
	during, beside := split(probes, made)
	var work, cut, behind time.Duration
	var cuts times
	for _, c := range made {
		work += c.Took
		cut, behind = max(cut, c.Seal), max(behind, c.Waited)
		cuts = append(cuts, c.Seal)
	}
	config := map[string]any{
		"checkpoints": len(made), "checkpoint_ms": ms(work / time.Duration(max(1, len(made)))), "stop_to_cut_ms_max": ms(cut),
		"stop_to_cut_ms_p50":       cuts.median(),
		"stop_store_behind_ms_max": ms(behind), "target": "checkpoints never stop payments for more than 20 ms",
	}
	for name, waits := range map[string]times{"while_checkpointing": during, "while_not": beside} {
		p50, p99 := waits.quantiles()
		config["single_"+name] = map[string]any{"payments": len(waits), "p50_ms": p50, "p99_ms": p99, "p999_ms": waits.at(0.999), "max_ms": waits.at(1)}
	}
	return config
}

func ms(d time.Duration) float64 { return float64(d.Round(time.Microsecond)) / 1e6 }

// split tells probes that were under way while a checkpoint was being made from the others.
func split(probes []probe, made []shard.CheckpointMade) (during, beside times) {
	for _, p := range probes {
		end := p.due.Add(p.wait)
		over := slices.ContainsFunc(made, func(c shard.CheckpointMade) bool {
			return c.Began.Add(-c.Seal).Before(end) && c.Began.Add(c.Took+c.Forget).After(p.due)
		})
		if over {
			during = append(during, p.wait)
		} else {
			beside = append(beside, p.wait)
		}
	}
	return during, beside
}

// easy measures single payments beside bulk that leaves the machine some air, so that waiting for a checkpoint is not
// drowned by waiting for a core.
func (h *historian) easy(ctx context.Context) error {
	h.checkpoints()
	began := time.Now()
	until := began.Add(h.o.Length)
	const batch = easyPerSecond / 100
	var group sync.WaitGroup
	var failed error
	sent := 0
	group.Go(func() {
		g := newGenerator(h.cast, false, 77)
		for due := began; due.Before(until) && failed == nil && ctx.Err() == nil; due = due.Add(10 * time.Millisecond) {
			time.Sleep(time.Until(due))
			txns, legs := make([]holdfast.Txn, batch), make([]holdfast.Transfer, batch)
			g.batch(txns, legs)
			if failed = h.submit(ctx, txns, true); failed == nil {
				sent += batch
			}
		}
	})
	probes, err := h.steady(ctx, began, until, probeStep)
	group.Wait()
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	waits := waitsOf(probes)
	p50, p99 := waits.quantiles()
	config := h.pauses(probes, h.checkpoints())
	config["bulk_per_s"], config["latency_of"] = rate(sent, time.Since(began)), "a single payment, from when it was due"
	h.add("history-pause", Result{PerS: rate(len(probes), h.o.Length), P50: p50, P99: p99, Seconds: seconds(h.o.Length), Config: config})
	return nil
}

// lookups looks ids of all parts of the history up, one by one and in random order. Every one has to be there as it was
// acknowledged.
func (h *historian) lookups(ctx context.Context) error {
	rand.New(rand.NewPCG(5, 7)).Shuffle(len(h.sample), func(i, j int) { h.sample[i], h.sample[j] = h.sample[j], h.sample[i] })
	return h.look(ctx, "history-lookup", len(h.sample), len(h.sample), func(v *shard.View, i int) (bool, error) {
		f, ok, err := v.Txn(h.sample[i].id)
		return ok && h.sample[i].is(&f), err
	})
}

// missing looks ids up that nobody has used: half of them random, half with times out of the history, whose neighbours exist.
func (h *historian) missing(ctx context.Context) error {
	ids := make([]holdfast.ID, len(h.sample))
	r := rand.New(rand.NewPCG(6, 7))
	for i := range ids {
		for j := range ids[i] {
			ids[i][j] = byte(r.Uint32())
		}
		if i%2 == 0 {
			ids[i][6], ids[i][8] = ids[i][6]&15|4<<4, ids[i][8]&63|128
			continue
		}
		copy(ids[i][:], h.sample[i].id[:8]) // time and version 7
		ids[i][8] = ids[i][8]&63 | 128
	}
	return h.look(ctx, "history-missing", len(ids), 0, func(v *shard.View, i int) (bool, error) {
		_, ok, err := v.Txn(ids[i])
		return ok, err
	})
}

// look carries out n look-ups from several callers; as many as wanted have to be found.
func (h *historian) look(ctx context.Context, name string, n, wanted int, find func(v *shard.View, i int) (bool, error)) error {
	h.o.Say(name)
	var group sync.WaitGroup
	var mu sync.Mutex
	var waits times
	var errs error
	found := 0
	began := time.Now()
	for k := range lookers {
		group.Go(func() {
			mine, n, err := h.looker(ctx, k, n, find)
			mu.Lock()
			defer mu.Unlock()
			waits, found, errs = append(waits, mine...), found+n, errors.Join(errs, err)
		})
	}
	group.Wait()
	took := time.Since(began)
	if errs != nil {
		return errs
	}
	p50, p99 := waits.quantiles()
	h.add(name, Result{PerS: rate(n, took), P50: p50, P99: p99, Seconds: seconds(took), Config: map[string]any{
		"sampled": n, "found": found, "wanted": wanted, "callers": lookers, "transfers": h.transfers, "latency_of": "a linearizable look-up, body included",
	}})
	if found != wanted {
		return fmt.Errorf("%s: %d of %d ids were found as they were acknowledged, and it should be %d", name, found, n, wanted)
	}
	return nil
}

func (h *historian) looker(ctx context.Context, k, n int, find func(v *shard.View, i int) (bool, error)) (waits times, found int, err error) {
	for i := k; i < n; i += lookers {
		began := time.Now()
		err := h.site.Read(ctx, 1, shard.Linearizable, func(v *shard.View) error {
			ok, err := find(v, i)
			if ok {
				found++
			}
			return err
		})
		if err != nil {
			return waits, found, fmt.Errorf("look up id %d of the sample: %w", i, err)
		}
		waits = append(waits, time.Since(began))
	}
	return waits, found, nil
}

// restart has a process of its own come back with all that history.
func (h *historian) restart(ctx context.Context) error {
	h.o.Say("history-restart")
	h.site = nil
	runtime.GC() // the site that was in this process leaves the memory to the one that comes
	b, err := h.ground.comeBack(ctx)
	defer func() { _ = h.ground.fleet.Kill(1) }() // gone already, or about to be thrown away
	if err != nil {
		return err
	}
	r := Result{PerS: 0, Seconds: seconds(b.ready), Config: map[string]any{
		"transfers": h.transfers, "accounts": commitAccounts, "files": b.files(), "first_payment_s": seconds(b.paid),
		"rss_mib": mib(b.memory.resident), "rss_peak_mib": mib(b.memory.peak), "cpu_s": seconds(b.used), "load_average": b.load, "layout": "one process of this program, asked over HTTP; it had ended in order",
	}}
	var t told
	for i := range h.sample[:min(len(h.sample), checkedMost)] {
		p := &h.sample[i]
		t.paid = append(t.paid, Receipt{p.id, p.debit.String(), p.credit.String(), p.amount})
	}
	err = h.ground.check(ctx, t, &r)
	h.add("history-restart", r)
	return err
}
