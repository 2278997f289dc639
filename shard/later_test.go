package shard

import (
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
)

// TestDecideLater has one row per thing that a disk can find whose shard is born in a running fleet. Site n has the identity 10n, after a
// wipe 10n+1.
func TestDecideLater(t *testing.T) {
	founders := NewMembers([]Member{{Replica: 10, Site: 1}, {Replica: 20, Site: 2}, {Replica: 30, Site: 3}})
	fresh := func(site holdfast.SiteID, id ReplicaID) Report { return Report{Site: site, Replica: id} }
	born := func(site holdfast.SiteID, id ReplicaID) Report {
		return Report{Site: site, Replica: id, Born: true, Members: founders}
	}
	for _, row := range []struct {
		name   string
		self   Report
		told   *Members
		others []Report
		want   BirthKind
		list   []ReplicaID
	}{
		{"a member starts again, told or not", born(2, 20), nil, nil, BirthResume, ids(10, 20, 30)},
		{"nobody was told anything", fresh(1, 10), nil, nil, BirthWait, nil},
		{"all are there, and still nobody founds", fresh(1, 10), nil, []Report{fresh(2, 20), fresh(3, 30)}, BirthWait, nil},
		{"told, and among them", fresh(2, 20), &founders, nil, BirthAdopt, ids(10, 20, 30)},
		{"told, but the disk was wiped since", fresh(2, 21), &founders, nil, BirthJoin, ids(10, 20, 30)},
		{"told, but the identity stands at another site", fresh(2, 30), &founders, nil, BirthJoin, ids(10, 20, 30)},
		{"late, heard of it from one that is born", fresh(3, 30), nil, []Report{fresh(1, 10), born(2, 20)}, BirthAdopt, ids(10, 20, 30)},
		{"late, and wiped", fresh(3, 31), nil, []Report{born(2, 20)}, BirthJoin, ids(10, 20, 30)},
	} {
		got := DecideLater(row.self, row.told, row.others)
		var list []ReplicaID
		for _, m := range got.Founders.Founders {
			list = append(list, m.Replica)
		}
		if got.Kind != row.want || !slices.Equal(list, row.list) {
			t.Errorf("%s: %s with %d, want %s with %d", row.name, got.Kind, list, row.want, row.list)
		}
	}
}

const laterShard = holdfast.ShardID(2)

// foundLater tells sites who the founders are.
func (f *fleet) foundLater(founders []Member, among ...holdfast.SiteID) {
	f.t.Helper()
	for _, id := range among {
		if err := f.host(id).Found(laterShard, founders); err != nil {
			f.t.Fatal(err)
		}
	}
}

// room makes a place for the later shard at sites, and returns their replicas once they have identities.
func (f *fleet) room(among ...holdfast.SiteID) (list []Member) {
	f.t.Helper()
	for _, id := range among {
		f.host(id).AddShard(laterShard)
		f.until("an identity", func() bool {
			r, err := f.host(id).Report(laterShard)
			if err == nil && r.Replica != 0 {
				list = append(list, Member{Replica: r.Replica, Site: id})
			}
			return err == nil && r.Replica != 0
		})
	}
	return list
}

// membersLater are the members of the later shard as its leader knows them; nil: it has none that answers.
func (f *fleet) membersLater() (m Members) {
	for _, id := range f.sites {
		if h := f.host(id); h != nil {
			if v, err := h.View(f.t.Context(), laterShard); err == nil {
				return v.Members
			}
		}
	}
	return m
}

// TestAShardIsBornInHostsThatRun: nobody founds it before the founders are told; one that was away begins as a voter when it is back,
// and one whose disk was lost meanwhile begins without a vote.
func TestAShardIsBornInHostsThatRun(t *testing.T) {
	for _, wiped := range []bool{false, true} {
		bubble(t, 3, nil, func(f *fleet) {
			f.leader()
			founders := f.room(1, 2, 3)
			time.Sleep(5 * time.Second) // bubble time: they could ask each other often enough
			for _, id := range f.sites {
				if r, err := f.host(id).Report(laterShard); err != nil || r.Born {
					t.Fatalf("site %d, told nothing: %+v, %v", id, r, err)
				}
				if b, err := f.host(id).Serve(t.Context(), 1, methodBirth, appendShard(nil, laterShard)); err == nil {
					t.Fatalf("site %d counts itself among those who could found the shard: %x", id, b)
				}
			}
			disk := f.kill(3)
			f.foundLater(founders, 1, 2)
			f.until("a leader of two", func() bool { return len(f.membersLater().List) == 3 })
			if wiped {
				disk = vfs.NewMem()
			}
			f.start(3, disk)
			now := f.room(3)[0]
			if (now.Replica == founders[2].Replica) == wiped {
				t.Fatalf("wiped: %t; the identity was %x and is %x", wiped, founders[2].Replica, now.Replica)
			}
			f.until("the third votes", func() bool {
				m, ok := f.membersLater().Find(now.Replica)
				r, err := f.host(3).Report(laterShard)
				return ok && m.Role == Voter && len(f.membersLater().List) == 3 && err == nil && r.Born
			})
			for _, id := range f.sites {
				if r, err := f.host(id).Report(laterShard); err != nil || !slices.Equal(r.Members.Founders, NewMembers(founders).Founders) {
					t.Errorf("site %d: founders %+v, %v; want %+v", id, r.Members.Founders, err, founders)
				}
			}
			f.start(1, f.kill(1)) // and after a restart without anybody telling it
			f.host(1).AddShard(laterShard)
			f.until("all lead or follow", func() bool {
				return f.host(1).Leader(laterShard).Leader != 0 && len(f.membersLater().List) == 3
			})
		})
	}
}

// asleepLater waits until the later shard sleeps at all of these sites.
func (f *fleet) asleepLater(sites ...holdfast.SiteID) {
	f.t.Helper()
	f.until("a shard that was born later sleeps everywhere", func() bool {
		return !slices.ContainsFunc(sites, func(id holdfast.SiteID) bool {
			list := f.host(id).Status()
			return len(list) < 2 || list[1].Shard != laterShard || !list[1].Asleep
		})
	})
}

// TestAShardThatIsBornLaterSleepsWithTheOthers: the host's clock and its beats count it as those that were there at the start. When the
// site of its leader is lost in its sleep, another one leads.
func TestAShardThatIsBornLaterSleepsWithTheOthers(t *testing.T) {
	p := &post{}
	bubble(t, 3, p.counted, func(f *fleet) {
		f.leader()
		f.asleep(f.sites...) // its clock is the slow one of a site in which all sleep
		f.foundLater(f.room(f.sites...), f.sites...)
		f.asleep(f.sites...)
		f.asleepLater(f.sites...)
		p.reset()
		time.Sleep(10 * time.Second) // bubble time
		if beats, other := p.reset(); other > 0 || beats == 0 {
			t.Errorf("two shards that sleep sent %d beats and %d other messages", beats, other)
		}
		old := f.host(1).Leader(laterShard).Site
		others := slices.DeleteFunc(slices.Clone(f.sites), func(id holdfast.SiteID) bool { return id == old })
		f.isolate(old, true)
		began := time.Now()
		f.until("another one leads the later shard", func() bool {
			return slices.ContainsFunc(others, func(id holdfast.SiteID) bool { return f.host(id).Leader(laterShard).Self })
		})
		if took := time.Since(began); took > time.Second {
			t.Errorf("another site led after %v", took)
		}
		f.isolate(old, false)
		f.asleepLater(f.sites...)
	})
}
