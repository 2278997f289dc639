package shard

import (
	"testing"
	"time"
)

// withLearner is a fleet of three voters and a learner that has everything.
func withLearner(t *testing.T, p *post, run func(f *fleet)) {
	bubble(t, 3, p.counted, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		f.newcomer(4)
		f.admit(4)
		f.asleep(f.sites...)
		run(f)
	})
}

// TestALearnerKeepsNobodyAwake: a shard with one costs what a shard without one does, and it gets what is written.
func TestALearnerKeepsNobodyAwake(t *testing.T) {
	p := &post{}
	withLearner(t, p, func(f *fleet) {
		p.reset()
		time.Sleep(10 * time.Second) // bubble time
		f.asleep(f.sites...)
		if beats, other := p.reset(); other > 0 || beats > 4*3*10*50+12 {
			t.Errorf("%d beats and %d other messages in ten seconds, want 6,000 and none", beats, other)
		}
		mustDone(f, f.pay(payTxn(2, 1, 2, 7), 1, 2, 3))
		mustBalance(f, 4, 2, 7)
		f.asleep(f.sites...)
		f.agree()
	})
}

// TestALearnerThatIsDead keeps nobody awake either. When it is back it gets what it lacks, although nothing else happens.
func TestALearnerThatIsDead(t *testing.T) {
	for name, back := range map[string]func(f *fleet) func(){
		"cut off": func(f *fleet) func() {
			f.isolate(4, true)
			return func() { f.isolate(4, false) }
		},
		"stopped": func(f *fleet) func() {
			disk := f.kill(4)
			return func() { f.start(4, disk) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := &post{}
			withLearner(t, p, func(f *fleet) {
				comeBack := back(f)
				time.Sleep(time.Second) // bubble time: the others have noticed
				mustDone(f, f.pay(payTxn(2, 1, 2, 7), 1, 2, 3))
				f.asleep(1, 2, 3)
				p.reset()
				time.Sleep(10 * time.Second) // bubble time
				f.asleep(1, 2, 3)
				if _, other := p.reset(); name == "stopped" && other > 0 {
					t.Errorf("%d messages beside beats while the learner is dead", other)
				}
				comeBack()
				f.until("the learner has what it lacked", func() bool {
					return f.host(4).Applied(testShard) > 0 && f.host(4).Applied(testShard) == f.host(f.leader(1, 2, 3)).Applied(testShard)
				})
				mustBalance(f, 4, 2, 7)
				f.asleep(f.sites...)
				f.agree()
			})
		})
	}
}

// TestALearnerThatLiesIdleIsNoReasonToWake: one that had everything when its site fell silent lacks nothing when it is back, if nothing
// has happened: the beats tell it who leads.
func TestALearnerThatLiesIdleIsNoReasonToWake(t *testing.T) {
	p := &post{}
	withLearner(t, p, func(f *fleet) {
		disk := f.kill(4)
		p.reset()
		time.Sleep(10 * time.Second) // bubble time
		f.asleep(1, 2, 3)
		if _, other := p.reset(); other > 0 {
			t.Errorf("%d messages beside beats", other)
		}
		f.start(4, disk)
		f.asleep(f.sites...)
		f.agree()
	})
}
