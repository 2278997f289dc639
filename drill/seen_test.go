package drill

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/fault"
)

// A fault that does not happen, of whatever kind, is one that proves nothing; one that does happen is believed.
func TestFaultsThatDoNotHappenProveNothing(t *testing.T) {
	one := []holdfast.SiteID{1}
	before := fault.Passage{Flows: 4, Delivered: 1000}
	cut := sighting{sites: one, fleet: 3, before: before, struck: fault.Passage{Flows: 4, Delivered: 1010}, atEnd: fault.Passage{Flows: 4, Delivered: 1010}}
	passes := cut
	passes.atEnd.Delivered = 9000
	of := func(l life) sighting { return sighting{sites: one, fleet: 3, lives: []life{l}} }
	ran := of(life{name: "Hangzhou", pid: 10, next: 10})
	changed, kept := []Reign{{1, 1, 1, -ms}, {1, 2, 2, 1100 * ms}}, []Reign{{1, 1, 1, -ms}}
	again := []Reign{{1, 1, 1, -ms}, {1, 1, 3, 1500 * ms}}
	healed := append(slices.Clone(changed), Reign{1, 1, 3, 5000 * ms})
	late, flaps := before, before
	late.Delayed, flaps.Cuts = 3, 12
	for kind, x := range map[string]struct {
		real   sighting
		reigns []Reign
		noop   sighting
		noOne  []Reign
		want   string
	}{
		"site-cut":         {cut, changed, passes, kept, "7,990 bytes came over cables that were to be cut; shard 1 was led by Hangzhou and got no other leader"},
		"two-sites-cut":    {cut, changed, passes, kept, "7,990 bytes came over cables"},
		"minority-side":    {cut, changed, passes, kept, "7,990 bytes came over cables"},
		"city-cut":         {cut, changed, passes, kept, "7,990 bytes came over cables"},
		"one-way-cut":      {cut, changed, passes, kept, "7,990 bytes came over cables"},
		"learner-cut":      {cut, kept, passes, kept, "7,990 bytes came over cables"},
		"carrier-cut":      {cut, kept, passes, kept, "7,990 bytes came over cables"},
		"carrier-cut-pair": {cut, kept, passes, kept, "7,990 bytes came over cables"},
		"carrier-one-way":  {cut, kept, sighting{}, kept, "nothing had come over its cables before either"},
		"carrier-lossy":    {sighting{before: before, atEnd: late}, kept, sighting{before: before, atEnd: before}, kept, "nothing came late"},
		"carrier-flap":     {sighting{before: before, atEnd: flaps}, kept, sighting{before: before, atEnd: before}, kept, "4 flows were cut 0 times in all"},
		"site-kill":        {of(life{name: "Hangzhou", pid: 10, death: killed, next: 11}), changed, ran, kept, "Hangzhou runs on (process 10); shard 1 was led by"},
		"site-stop":        {of(life{name: "Hangzhou", pid: 10, still: true, next: 10}), changed, ran, kept, "Hangzhou was not stopped (process 10); shard 1 was led by"},
		"restart":          {of(life{name: "Hangzhou", pid: 10, death: inOrder, next: 11}), changed, ran, kept, "Hangzhou runs on (process 10); Hangzhou has no new process; shard 1 was led by"},
		"all-kill":         {of(life{name: "Hangzhou", pid: 10, death: killed, next: 11}), again, ran, kept, "Hangzhou runs on (process 10); Hangzhou has no new process; shard 1 elected nobody"},
		"leader-handover":  {sighting{heir: 2}, changed, sighting{heir: 2}, kept, "shard 1 was not led by Shanghai"},
		"site-add":         {sighting{was: unlisted, is: listed, must: listed}, kept, sighting{was: unlisted, is: unlisted, must: listed}, kept, "was to become"},
		"site-replace":     {sighting{was: unlisted, is: listed, must: listed}, kept, sighting{was: listed, is: listed, must: listed}, kept, "was to become"},
		"site-promote":     {sighting{was: copies, is: listed, must: listed}, kept, sighting{was: copies, is: copies, must: listed}, kept, "was to become"},
		"site-demote":      {sighting{was: listed, is: copies, must: copies}, kept, sighting{was: listed, is: listed, must: copies}, kept, "was to become"},
		"site-retire":      {sighting{was: listed, is: unlisted, must: unlisted}, kept, sighting{was: listed, is: listed, must: unlisted}, kept, "was to become"},
		"slot-move":        {sighting{was: "in shard 2", is: "in shard 3", must: "in shard 3"}, kept, sighting{was: "in shard 2", is: "in shard 2", must: "in shard 3"}, kept, "was to become"},
		"shard-split":      {sighting{was: "in shard 2", is: "in shard 4", must: "in shard 4"}, kept, sighting{was: "in shard 2", is: "in shard 2", must: "in shard 4"}, kept, "was to become"},
		"leader-starved":   {sighting{sites: one, fleet: 3, stills: 20}, healed, sighting{sites: one, fleet: 3, stills: 1}, kept, "its process was found stopped 1 time; shard 1 was led by Hangzhou and got no other leader"},
		"leader-slow-disk": {sighting{sites: one, fleet: 3, disk: slowDisk}, healed, sighting{sites: one, fleet: 3, disk: ms}, kept, "half of its writes took 1 ms at least; shard 1 was led by Hangzhou and got no other leader"},
		"leader-lossy":     {sighting{sites: one, fleet: 3, before: before, atEnd: late}, healed, sighting{sites: one, fleet: 3, before: before, atEnd: before}, kept, "nothing came late; shard 1 was led by Hangzhou and got no other leader"},
		"leader-unheard":   {cut, healed, passes, kept, "7,990 bytes came over cables that were to be cut; shard 1 was led by Hangzhou and got no other leader"},
		"leader-http-hang": {sighting{mute: true}, kept, sighting{}, kept, "its API answered"},
		"busy-machine":     {sighting{work: []float64{0.4, 0.5}}, kept, sighting{work: []float64{0.4, 0}}, kept, "took 0.0 % of one"},
	} {
		t.Run(kind, func(t *testing.T) {
			f := Fault{Kind: kind, Target: "hangzhou", At: 1000 * ms, Healed: 2000 * ms, seen: x.real}
			if got := unseen([]Fault{f}, x.reigns, 9000*ms); len(got) != 0 {
				t.Errorf("it happened: %q", got)
			}
			f.seen = x.noop
			if got := unseen([]Fault{f}, x.noOne, 9000*ms); len(got) != 1 || !strings.HasPrefix(got[0], kind+" of hangzhou proves nothing: ") || !strings.Contains(got[0], x.want) {
				t.Errorf("it did not happen: %q", got)
			}
			f.seen = x.real
			f.seen.trouble = errors.New("no answer")
			if got := unseen([]Fault{f}, x.reigns, 9000*ms); len(got) != 1 {
				t.Errorf("it was not looked at: %q", got)
			}
		})
		if signs[kind] == nil {
			t.Errorf("nothing has to be seen of %s", kind)
		}
	}
	if got := unseen([]Fault{{Kind: "flood", Target: "everywhere"}}, nil, 0); len(got) != 1 {
		t.Errorf("of an unknown kind: %q", got)
	}
}

// A sick leader that left only when it was well again, or did not come home, has not passed.
func TestASickLeaderLeavesAndComesHome(t *testing.T) {
	f := Fault{Kind: "leader-starved", Target: "hangzhou:starved", At: 1000 * ms, Healed: 2000 * ms, seen: sighting{sites: []holdfast.SiteID{1}, fleet: 3, stills: 20}}
	for want, reigns := range map[string][]Reign{
		"":                        {{1, 1, 1, -ms}, {1, 2, 2, 1100 * ms}, {1, 1, 3, 5000 * ms}},
		"has not come home":       {{1, 1, 1, -ms}, {1, 2, 2, 1100 * ms}},
		"and got no other leader": {{1, 1, 1, -ms}, {1, 2, 2, 2100 * ms}, {1, 1, 3, 5000 * ms}},
	} {
		got := strings.Join(unseen([]Fault{f}, reigns, 9000*ms), "")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Every kind of fault that a scenario begins has its signs.
func TestEveryFaultHasSigns(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	begun := regexp.MustCompile(`(?:begin\(|during\(ctx, |kind: )"([a-z-]+)"[,)]`)
	kinds := 0
	for _, file := range files {
		if file == "forecast.go" { // its kinds are of losses that are foretold
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range begun.FindAllStringSubmatch(string(text), -1) {
			if kinds++; signs[m[1]] == nil {
				t.Errorf("%s: nothing has to be seen of %s", file, m[1])
			}
		}
	}
	if kinds < 10 {
		t.Errorf("%d faults were found in the source", kinds)
	}
}

// What was not seen is a reason, in every scenario, and so the verdict is fail.
func TestUnseenFaultsFailTheDrill(t *testing.T) {
	for _, x := range Scenarios() {
		r := &run{scenario: x, o: Defaults(), book: newBook(), sampler: &sampler{}}
		e := &Evidence{Faults: []Fault{{Kind: "site-cut", Target: "hangzhou", At: 1000 * ms, Healed: 2000 * ms}}, Length: 9000 * ms}
		res := Result{Payments: Payments{Acknowledged: 1}, BooksBalanced: true, ReplicasAgree: true, Linearizable: true}
		res.judge(time.Second, r.findings(e, &prover{}, nil))
		if res.Passed() || !strings.Contains(strings.Join(res.Reasons, "\n"), "site-cut of hangzhou proves nothing: ") {
			t.Errorf("%s: verdict %s, %q", x.Name, res.Verdict, res.Reasons)
		}
	}
}

// Ends of a fault count, and who leads when: the same site elected again is no successor, and one that came before or later is not its.
func TestSuccession(t *testing.T) {
	for name, x := range map[string]struct {
		sites  []holdfast.SiteID
		fleet  int
		reigns []Reign
		ok     bool
	}{
		"another":                {[]holdfast.SiteID{1}, 3, []Reign{{1, 1, 1, 0}, {1, 3, 2, 1200 * ms}}, true},
		"the same again":         {[]holdfast.SiteID{1}, 3, []Reign{{1, 1, 1, 0}, {1, 1, 2, 1200 * ms}}, false},
		"another of the lost":    {[]holdfast.SiteID{1, 2}, 5, []Reign{{1, 1, 1, 0}, {1, 2, 2, 1200 * ms}}, false},
		"too late":               {[]holdfast.SiteID{1}, 3, []Reign{{1, 1, 1, 0}, {1, 2, 2, 3200 * ms}}, false},
		"led from elsewhere":     {[]holdfast.SiteID{1}, 3, []Reign{{1, 2, 1, 0}}, true},
		"one of two shards":      {[]holdfast.SiteID{1}, 3, []Reign{{1, 1, 1, 0}, {2, 1, 1, 0}, {1, 2, 2, 1200 * ms}}, false},
		"nobody is left to lead": {[]holdfast.SiteID{1, 2}, 3, []Reign{{1, 1, 1, 0}}, true},
	} {
		f := &Fault{At: 1000 * ms, seen: sighting{sites: x.sites, fleet: x.fleet}}
		if got := succession(f, &surroundings{x.reigns, 3000 * ms}); (got == "") != x.ok {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// act is a stage with sites 1 to 3, of which site 1 is a real process that runs script, and with real cables.
func act(t *testing.T, script string) *stage {
	t.Helper()
	f := &fleet{damage: map[holdfast.SiteID]Damage{}, spawn: newSpawner(), net: served(t), carriers: make([]Damage, 1)}
	t.Cleanup(f.spawn.close)
	nobody, err := client.New(client.Config{Sites: []string{"http://127.0.0.1:1"}, Timeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nobody.Close)
	for id := holdfast.SiteID(1); id <= 3; id++ {
		p := &process{spawn: f.spawn, program: "/bin/sh", args: []string{"-c", script}, logFile: filepath.Join(t.TempDir(), "log")}
		f.sites = append(f.sites, &member{id: id, name: SiteName(id), proc: p, own: nobody})
	}
	p := f.sites[0].proc
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.thaw()
		_ = p.kill()
	})
	began := time.Now()
	clock := func() time.Duration { return time.Since(began) }
	return &stage{fleet: f, clock: clock, rand: rand.New(rand.NewPCG(1, 1)), throne: newThrone(f, clock), carriers: 1}
}

const (
	lasting  = "while :; do sleep 0.02; done"
	obedient = "trap 'exit 0' TERM; echo ready; " + lasting
)

// What is seen of a process is what the system knows of it: of one that nothing is done to, nothing.
func TestProcessesAreLookedAt(t *testing.T) {
	again := func(_ context.Context, m *member) error { return m.proc.start() }
	nothing := func(context.Context, *member) error { return nil }
	killOnly := func(_ context.Context, m *member) error { return m.proc.kill() }
	freeze := func(ctx context.Context, m *member) error {
		err := m.proc.freeze()
		for err == nil && !standsStill(m.proc.pid()) { // the system takes its time
			err = rest(ctx, time.Millisecond)
		}
		return err
	}
	thaw := func(_ context.Context, m *member) error { return m.proc.thaw() }
	for name, x := range map[string]struct {
		kind       string
		harm, mend func(context.Context, *member) error
		ok         bool
	}{
		"killed":                   {"site-kill", killOnly, again, true},
		"not killed":               {"site-kill", nothing, nothing, false},
		"frozen":                   {"site-stop", freeze, thaw, true},
		"not frozen":               {"site-stop", nothing, nothing, false},
		"thawed before the end":    {"site-stop", func(ctx context.Context, m *member) error { return errors.Join(freeze(ctx, m), thaw(ctx, m)) }, nothing, false},
		"killed instead of frozen": {"site-stop", killOnly, again, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := act(t, lasting)
			if err := s.during(t.Context(), x.kind, 1, 0, x.harm, x.mend); err != nil {
				t.Fatal(err)
			}
			f := s.history()
			reigns := []Reign{{1, 1, 1, -ms}, {1, 2, 2, f[0].At}}
			if got := unseen(f, reigns, time.Hour); (len(got) == 0) != x.ok {
				t.Errorf("%q", got)
			}
		})
	}
}

// A restart is one when the process ended in order and another one came.
func TestRestartsAreLookedAt(t *testing.T) {
	stop := func(p *process) error { return p.terminate(t.Context()) }
	for name, x := range map[string]struct {
		restart func(p *process) error
		ok      bool
	}{
		"in order": {func(p *process) error { return errors.Join(stop(p), p.start()) }, true},
		"killed":   {func(p *process) error { return errors.Join(p.kill(), p.start()) }, false},
		"ended":    {stop, false},
		"nothing":  {func(*process) error { return nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := act(t, obedient)
			p := s.fleet.sites[0].proc
			for !strings.Contains(tail(p.logFile), "ready") {
				if rest(t.Context(), time.Millisecond) != nil {
					t.Fatal("it does not start")
				}
			}
			look := s.lookAt(s.begin("restart", "hangzhou"), nil, 1)
			if err := x.restart(p); err != nil {
				t.Fatal(err)
			}
			s.healed(0)
			look.over()
			if got := unseen(s.history(), nil, time.Hour); (len(got) == 0) != x.ok {
				t.Errorf("%q", got)
			}
		})
	}
}

// What is seen of a cut, a lossy line or one that flaps is what comes over it.
func TestCablesAreLookedAt(t *testing.T) {
	nothing := func(context.Context, *member) error { return nil }
	for name, x := range map[string]struct {
		harm func(s *stage) func(context.Context, *member) error
		ok   bool
	}{
		"cut":     {func(s *stage) func(context.Context, *member) error { return s.cut }, true},
		"not cut": {func(*stage) func(context.Context, *member) error { return nothing }, false},
		"cut elsewhere": {func(s *stage) func(context.Context, *member) error {
			return func(context.Context, *member) error { return s.fleet.net.do(orderCut, 3) }
		}, false},
		"cut in one way": {func(s *stage) func(context.Context, *member) error { return s.mute }, false},
		"cut, and healed": {func(s *stage) func(context.Context, *member) error {
			return func(ctx context.Context, m *member) error { return errors.Join(s.cut(ctx, m), s.heal(ctx, m)) }
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := act(t, lasting)
			chatter(t, s.fleet.net)
			s.length = s.clock() + pictureTime + time.Second // nobody foretells anything here, and it is waited for
			if err := s.during(t.Context(), "site-cut", 1, 1, x.harm(s), s.heal); err != nil {
				t.Fatal(err)
			}
			f := s.history()
			reigns := []Reign{{1, 1, 1, -ms}, {1, 2, 2, f[0].At}}
			if got := unseen(f, reigns, time.Hour); (len(got) == 0) != x.ok {
				t.Errorf("%q; %+v", got, f[0].seen)
			}
		})
	}
}

func TestCarriersAreLookedAt(t *testing.T) {
	all := &flows{Carrier: 1}
	idle := order{Do: orderCount, Flows: all} // carried out, and does nothing
	for name, x := range map[string]struct {
		kind string
		do   order
		ok   bool
	}{
		"cut":       {"carrier-cut", order{Do: orderCutFlows, Flows: all}, true},
		"not cut":   {"carrier-cut", idle, false},
		"lossy":     {"carrier-lossy", order{Do: orderLossy, Flows: all, Share: 0.9, Delay: time.Millisecond, Seed: 1}, true},
		"not lossy": {"carrier-lossy", idle, false},
		"flaps":     {"carrier-flap", order{Do: orderFlap, Flows: all, Delay: 5 * time.Millisecond}, true},
		"cut once":  {"carrier-flap", order{Do: orderCutFlows, Flows: all}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := act(t, lasting)
			chatter(t, s.fleet.net)
			look := s.lookAt(s.begin(x.kind, "carrier 1"), all)
			if err := s.fleet.net.order(x.do); err != nil {
				t.Fatal(err)
			}
			look.struck()
			if err := rest(t.Context(), time.Second); err != nil {
				t.Fatal(err)
			}
			look.ending()
			if err := s.fleet.net.do(orderHeal, 0); err != nil {
				t.Fatal(err)
			}
			s.healed(0)
			if got := unseen(s.history(), nil, time.Hour); (len(got) == 0) != x.ok {
				t.Errorf("%q; %+v", got, s.history()[0].seen)
			}
		})
	}
}

// chatter lays a cable from site 1 to site 2, and has both talk over it until the test ends.
func chatter(t *testing.T, c *cables) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, err := c.lay(1, 2, 0, l.Addr().String(), 0)
	if err != nil {
		t.Fatal(err)
	}
	near, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, conn := range []net.Conn{near, far} {
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		go func() {
			for {
				if _, err := conn.Write([]byte("tick")); err != nil || rest(t.Context(), time.Millisecond) != nil {
					return
				}
			}
		}()
	}
	t.Cleanup(func() { _ = errors.Join(near.Close(), far.Close(), l.Close()) })
	for { // both have been heard
		p, err := c.passed(&flows{From: []holdfast.SiteID{1}})
		q, gone := c.passed(&flows{From: []holdfast.SiteID{2}})
		if err != nil || gone != nil {
			t.Fatal(err, gone)
		}
		if p.Delivered > 0 && q.Delivered > 0 {
			return
		}
		if rest(t.Context(), time.Millisecond) != nil {
			t.Fatal("nothing comes over the cable")
		}
	}
}
