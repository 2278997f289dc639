package shard

import (
	"context"
	"errors"
	"testing"
	"time"

	"holdfast"
)

func pastBalance(f *fleet, site holdfast.SiteID, t holdfast.Time, mode ReadMode) (sum holdfast.Amount, err error) {
	err = f.host(site).Read(context.Background(), testShard, mode, func(v *View) error {
		a, _, err := v.AccountAt(testAccount(2), t)
		sum = a.Balance()
		return err
	})
	return sum, err
}

func (f *fleet) closePast(site holdfast.SiteID, t holdfast.Time) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return f.host(site).ClosePast(ctx, testShard, t)
}

func now() holdfast.Time { return holdfast.TimeOf(time.Now()) }

// TestThePastIsAnsweredForWhenItIsFinal, at the leader and at those that follow it.
func TestThePastIsAnsweredForWhenItIsFinal(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		for n, site := range append(others(f, f.leader()), f.leader()) {
			mustDone(f, f.pay(payTxn(uint64(2+n), 1, 2, 1)))
			f.until("the site to know its leader", func() bool {
				_, err := pastBalance(f, site, 1, Linearizable)
				return err == nil
			})
			moment := now() + 300e6 // the clock of that site is ahead of all others
			for _, mode := range []ReadMode{Linearizable, Stale} {
				if sum, err := pastBalance(f, site, moment, mode); !errors.As(err, new(NotFinalError)) {
					t.Fatalf("site %d answers %d, %v for a moment that entries can still be stamped before", site, sum, err)
				}
			}
			if err := f.closePast(site, moment); err != nil {
				t.Fatal(err)
			}
			if sum, err := pastBalance(f, site, moment, Linearizable); err != nil || sum != holdfast.Amount(n+1) {
				t.Fatalf("site %d: %d, %v after the past was closed; want %d", site, sum, err, n+1)
			}
			o := f.pay(payTxn(uint64(20+n), 1, 2, 1))
			if mustDone(f, o); o.Time <= moment {
				t.Fatalf("a payment is stamped %s, and the past up to %s was closed", o.Time, moment)
			}
			if sum, err := pastBalance(f, site, moment, Linearizable); err != nil || sum != holdfast.Amount(n+1) {
				t.Fatalf("site %d: %d, %v asked again; want %d", site, sum, err, n+1)
			}
			mustDone(f, f.pay(payTxn(uint64(40+n), 2, 1, 1)))
			time.Sleep(time.Second) // bubble time: the clocks pass what the entries were stamped
		}
		f.agree()
	})
}

// TestASleepingShardWritesOncePerMoment: the first question puts an entry behind the moment, and those that follow find it.
func TestASleepingShardWritesOncePerMoment(t *testing.T) {
	bubble(t, 1, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		time.Sleep(5 * time.Second) // bubble time: until nothing is written any more
		end := func() uint64 { return f.host(1).at(testShard).shard.LastIndex() }
		before, moment := end(), now()
		for range 100 {
			if err := f.closePast(1, moment); err != nil {
				t.Fatal(err)
			}
		}
		if wrote := end() - before; wrote != 1 {
			t.Fatalf("100 questions about one moment have written %d entries, want 1", wrote)
		}
		time.Sleep(5 * time.Second) // bubble time
		if wrote := end() - before; wrote > 2 {
			t.Fatalf("%d entries were written for one question: want it and one digest", wrote)
		}
	})
}

func TestAMomentThatIsYetToCome(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		for _, site := range f.sites {
			var err error
			f.until("the site to know its leader", func() bool {
				err = f.closePast(site, now()+holdfast.Time(time.Minute))
				return !errors.As(err, new(NotLeaderError))
			})
			if !errors.Is(err, ErrYetToCome) {
				t.Fatalf("the past up to the next minute: %v", err)
			}
		}
		if o := f.pay(payTxn(2, 1, 2, 1)); o.Time > now() {
			t.Fatalf("a payment is stamped %s, because somebody asked for the future", o.Time)
		}
	})
}

// TestNobodyClosesThePastOfAMinority: it would wait for ever.
func TestNobodyClosesThePastOfAMinority(t *testing.T) {
	bubble(t, 3, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		old := f.leader()
		f.isolate(old, true)
		if err := f.closePast(old, now()); err == nil {
			t.Fatal("a leader that reaches nobody has closed the past")
		}
		next := f.leader(others(f, old)...)
		if err := f.closePast(next, now()); err != nil {
			t.Fatal(err)
		}
		f.isolate(old, false)
		f.agree()
	})
}

// TestWhatIsConfirmedForOneLifeIsNotReadInTheNext: the next may have been wiped in between.
func TestWhatIsConfirmedForOneLifeIsNotReadInTheNext(t *testing.T) {
	bubble(t, 1, nil, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		s := f.host(1).at(testShard)
		l := s.life.Load()
		next := &life{seat: s, machine: l.machine, answers: l.answers}
		s.readings.New = func() any {
			r := newReading()
			answer := r.Answer
			r.Answer = func(q *ReadRequest) {
				s.life.Store(next)
				answer(q)
			}
			return r
		}
		err := f.host(1).Read(context.Background(), testShard, Linearizable, func(*View) error { return nil })
		s.life.Store(l)
		if !errors.Is(err, ErrNoQuorum) {
			t.Fatalf("a read that was confirmed in one life is answered from the next: %v", err)
		}
	})
}
