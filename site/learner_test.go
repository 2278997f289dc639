package site

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"holdfast"
	"holdfast/shard"
)

// learns reports whether a site has a replica of every shard, without a vote and with everything, by what its leaders say; an error
// says that one of them cannot be asked just now.
func (f *fleet) learns(id, through holdfast.SiteID) (string, bool, error) {
	f.t.Helper()
	for _, shardID := range f.site(through).ShardIDs() {
		a, err := f.site(through).askMembers(context.Background(), shardID)
		if err != nil {
			return "", false, err
		}
		i := slices.IndexFunc(a.Members, func(m memberAnswer) bool { return m.Site == id })
		if i < 0 || a.Members[i].Votes || !a.Members[i].Fit {
			return fmt.Sprintf("shard %d: %+v", shardID, a.Members), false, nil
		}
	}
	return "", true, nil
}

// learnsNow fails the test if the first answer of the leaders is that a site is no learner with everything. On a slow machine they may
// be electing one.
func (f *fleet) learnsNow(id, through holdfast.SiteID) {
	f.t.Helper()
	f.until("the leaders answer", func() (string, bool) {
		why, ok, err := f.learns(id, through)
		if err == nil && !ok {
			f.t.Errorf("site %d is no learner: %s", id, why)
		}
		return fmt.Sprint(err), err == nil
	})
}

// TestALearner: a site that holds a copy of everything and votes in nothing. It answers reads and takes payments for the others; nobody
// waits for it when it is gone, neither for a payment nor for a change of sites; it catches up when it is back, and stays a learner.
func TestALearner(t *testing.T) {
	long(t)
	t.Parallel()
	f := newFleet(t, 3, 2)
	f.newcomers(4, 5)
	a, b := account(t, 1, 10), account(t, 2, 400)
	f.mustDo(f.site(1), f.open(a, b))
	f.mustDo(f.site(1), f.pay(a, b, 70))
	f.start(4)
	learn := f.request(SiteAdd, 4, 0)
	learn.Learner = true
	f.change(1, learn)
	f.learnsNow(4, 1) // when the change is over, the copy is there
	f.until("it is ready", func() (string, bool) { err := f.site(4).Ready(); return fmt.Sprint(err), err == nil })
	f.mustHold(f.site(4), b, 70)
	f.mustDo(f.site(4), f.pay(a, b, 5))
	if err := f.site(1).HandOver(context.Background(), 1, 4); err == nil {
		t.Error("a learner was to lead")
	}
	if r := f.site(4).Roster(); r.role(4) != RoleLearner || fmt.Sprint(voters(f.site(4))) != "[1 2 3]" {
		t.Errorf("voters %v, list %+v", voters(f.site(4)), r)
	}

	f.stop(4)
	f.until("it is missed", func() (string, bool) { return "", !f.site(1).watch.answers(f.site(1).watch.peer(4)) })
	f.mustDo(f.site(2), f.pay(a, b, 1))
	f.stop(3) // a voter dies beside it, and is replaced
	f.start(5)
	f.until("site 3 is missed", func() (string, bool) { return "", !f.site(1).watch.answers(f.site(1).watch.peer(3)) })
	f.change(1, f.request(SiteReplace, 5, 3))
	f.mustDo(f.site(1), f.pay(a, b, 1))

	f.start(4)
	f.until("it is back, with everything, and has no vote", func() (string, bool) {
		why, ok, err := f.learns(4, 2)
		return fmt.Sprint(why, err), ok
	})
	f.until("it knows who votes now", func() (string, bool) {
		return fmt.Sprint(voters(f.site(4))), fmt.Sprint(voters(f.site(4))) == "[1 2 5]" && f.site(4).Ready() == nil
	})
	f.mustHold(f.site(4), b, 77)
	f.until("its books are those of the others", func() (string, bool) {
		audit, err := f.site(4).Audit(context.Background())
		return fmt.Sprintf("%+v, %v", audit, err), err == nil && audit.OK() && audit.Compared == 6
	})
	f.change(1, f.request(SiteRetire, 4, 0))
	f.until("it is out", func() (string, bool) {
		in := slices.ContainsFunc(f.site(1).host.Status(), func(st shard.ShardStatus) bool {
			return slices.ContainsFunc(st.Members, func(m shard.Member) bool { return m.Site == 4 })
		})
		return "", !in && f.site(4).Ready() != nil
	})
}
