package site

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast"
	"holdfast/transit"
)

func TestShardMapThereAndBack(t *testing.T) {
	for _, shards := range []int{1, 2, 7, 8, 256} {
		sites := []holdfast.SiteID{3, 1, 2}
		m := newShardMap(shards, sites)
		m.Version = 9
		back, err := readShardMap(m.encode(), 9, shards, sites)
		if err != nil {
			t.Fatal(err)
		}
		if back.slots != m.slots || !slices.Equal(back.Homes, m.Homes) || back.Version != 9 {
			t.Errorf("%d shards: %v came back as %v", shards, m, back)
		}
		if got := len(m.Stretches()); got != shards {
			t.Errorf("%d shards have %d stretches of slots", shards, got)
		}
		if m.Home(1) != 1 || shards > 3 && m.Home(4) != 1 || shards > 1 && m.Home(2) != 2 {
			t.Errorf("homes %v are not spread in order of site", m.Homes)
		}
	}
}

func TestABadShardMapIsNotTakenOver(t *testing.T) {
	good := string(newShardMap(2, []holdfast.SiteID{1, 2, 3}).encode())
	rows := []struct{ name, old, new string }{
		{"not JSON", "{", "["},
		{"a newer format", `"format":1`, `"format":2`},
		{"a field nobody knows", `"format":1`, `"format":1,"weights":[]`},
		{"a gap", `"from":500`, `"from":501`},
		{"an overlap", `"from":500`, `"from":499`},
		{"slots missing at the end", `"to":999`, `"to":998`},
		{"slots beyond the end", `"to":999`, `"to":1000`},
		{"a shard that is not there", `"shard":2`, `"shard":3`},
		{"a home that is not there", `"homes":[1,2]`, `"homes":[1,4]`},
		{"a home too few", `"homes":[1,2]`, `"homes":[1]`},
	}
	for _, row := range rows {
		bad := strings.Replace(good, row.old, row.new, 1)
		if bad == good {
			t.Fatalf("%s: %s is not in %s", row.name, row.old, good)
		}
		if m, err := readShardMap([]byte(bad), 4, 2, []holdfast.SiteID{1, 2, 3}); err == nil {
			t.Errorf("%s: %s was read as %v", row.name, bad, m)
		}
	}
}

// A map may say of every slot where it was; the record that it is in has an end, and a plan beyond it is refused before anything moves.
func TestAMapOfMovedSlots(t *testing.T) {
	sites := []holdfast.SiteID{1, 2, 3}
	m := newShardMap(8, sites)
	m.been = map[holdfast.Slot][]transit.Origin{}
	rounds := 0
	for ; rounds < 100; rounds++ {
		var slots []holdfast.Slot
		for slot := holdfast.Slot(rounds % 2); slot < holdfast.Slots; slot += 2 {
			slots = append(slots, slot)
		}
		to := holdfast.ShardID(rounds%8 + 1)
		if !m.fitsMoved(slots, to) {
			break
		}
		for _, slot := range slots {
			m.been[slot] = append(m.been[slot], transit.Origin{Shard: m.slots[slot], Index: uint64(1e9) + uint64(slot)})
			m.slots[slot] = to
		}
		body := m.encode()
		back, err := readShardMap(body, 2, 8, sites)
		if err != nil || back.slots != m.slots {
			t.Fatalf("round %d: %v", rounds, err)
		}
		if diff := cmp.Diff(m.been, back.been); diff != "" {
			t.Fatalf("round %d: %s", rounds, diff)
		}
		if len(body) > holdfast.MaxRecordBody {
			t.Fatalf("round %d: %d bytes, which no record has", rounds, len(body))
		}
	}
	if rounds == 0 || rounds == 100 {
		t.Errorf("%d rounds fitted", rounds)
	}
	good := string(m.encode())
	first := fmt.Sprintf("[0,%d,%d", m.been[0][0].Shard, m.been[0][0].Index)
	for name, bad := range map[string]string{
		"a slot beyond the end": "[1000,1,5", "a shard that is not there": "[0,9,5", "no shard": "[0,0,5", "no entry": "[0,1,0", "half a place": "[0,1,5,7",
	} {
		if _, err := readShardMap([]byte(strings.Replace(good, first, bad, 1)), 2, 8, sites); !strings.Contains(good, first) || err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

func FuzzShardMap(f *testing.F) {
	sites := []holdfast.SiteID{1, 2, 3}
	f.Add(newShardMap(8, sites).encode())
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := readShardMap(body, 1, 8, sites)
		if err != nil {
			return
		}
		again, err := readShardMap(m.encode(), 1, 8, sites)
		if err != nil || again.slots != m.slots {
			t.Errorf("%s was read as %v, which cannot be written and read: %v", body, m, err)
		}
	})
}

// leaders are the leaders of all shards as a site sees them.
func (f *fleet) leaders(s *Site) (list []holdfast.SiteID) {
	for _, id := range s.ShardIDs() {
		list = append(list, s.board.seat(id).leader)
	}
	return list
}

func TestLeadershipsAreSpreadAndComeHome(t *testing.T) {
	long(t)
	t.Parallel()
	f := newFleet(t, 3, 6)
	home := []holdfast.SiteID{1, 2, 3, 1, 2, 3}
	spread := func() bool {
		for _, s := range f.all() {
			if !slices.Equal(f.leaders(s), home) {
				return false
			}
		}
		return true
	}
	eventually(t, "every shard is led from its home", spread)
	f.stop(2)
	eventually(t, "others lead what was at home at site 2", func() bool {
		led := f.leaders(f.site(1))
		return !slices.Contains(led, 2) && !slices.Contains(led, 0)
	})
	c := f.configs[2]
	c.Timing.Home = Duration(time.Second)
	f.configs[2] = c
	f.start(2)
	f.ready()
	eventually(t, "its leaderships are back", spread)
	if !slices.ContainsFunc(slices.Concat(f.site(1).Events(0), f.site(3).Events(0)), func(e Event) bool { return e.Kind == EventHome && e.Site == 2 }) {
		t.Error("no site says that it gave a leadership back")
	}
}

func TestAHomeIsSetThroughTheLog(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3, 2)
	ctx := context.Background()
	eventually(t, "a home is set", func() bool { return f.site(3).SetHome(ctx, 2, 1) == nil }) // a busy machine may miss a quorum
	eventually(t, "all sites know the new map, and shard 2 is led from its new home", func() bool {
		for _, s := range f.all() {
			if s.ShardMap().Version != 1 || s.ShardMap().Home(2) != 1 || s.board.seat(2).leader != 1 {
				return false
			}
		}
		return true
	})
	f.until("a home at a site that is not there is refused", func() (string, bool) {
		err := f.site(1).SetHome(ctx, 2, 4)
		if err == nil {
			t.Fatal("a home was set at a site that is not there")
		}
		return fmt.Sprint(err), strings.Contains(err.Error(), "site 4 is no site of this fleet")
	})
	old := f.site(2).ShardMap()
	eventually(t, "another home is set", func() bool { return f.site(1).SetHome(ctx, 1, 3) == nil })
	eventually(t, "a map made from an old version is refused", func() bool {
		err := f.site(2).writeMap(ctx, old)
		if err == nil {
			t.Fatal("a map made from an old version was written")
		}
		return errors.Is(err, ErrMapChanged)
	})
}

// TestAMapOfSlotsThatMoved: it says where they were, in a format that a release which cannot route them refuses.
func TestAMapOfSlotsThatMoved(t *testing.T) {
	sites := []holdfast.SiteID{1, 2, 3}
	m := newShardMap(2, sites)
	plain := m.encode()
	m.slots[7] = 2
	m.been = map[holdfast.Slot][]transit.Origin{7: {{Shard: 2, Index: 5}, {Shard: 1, Index: 1 << 40}}}
	body := m.encode()
	back, err := readShardMap(body, 9, 2, sites)
	if err != nil || back.ShardOf(7) != 2 || !slices.Equal(back.been[7], m.been[7]) || len(back.been) != 1 {
		t.Fatalf("%s is read as %+v, %v", body, back, err)
	}
	if !bytes.Contains(plain, []byte(`"format":1`)) || !bytes.Contains(body, []byte(`"format":2`)) {
		t.Errorf("formats of\n%s\n%s", plain, body)
	}
	for _, wrong := range [][2]string{{`"format":2`, `"format":1`}, {`[7,2,5,`, `[7,2,0,`}, {`[7,2,5,`, `[7,3,5,`}, {`[7,2,5,`, `[1000,2,5,`}} {
		if bad := bytes.Replace(body, []byte(wrong[0]), []byte(wrong[1]), 1); bytes.Equal(bad, body) {
			t.Errorf("%s is not in it", wrong[0])
		} else if _, err := readShardMap(bad, 9, 2, sites); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

// TestRecordsWithoutOwnersStay: a record that belongs to no owner is found where it was, whatever slots have moved.
func TestRecordsWithoutOwnersStay(t *testing.T) {
	s := &Site{}
	s.founding.Store(newShardMap(2, []holdfast.SiteID{1}))
	at := s.ShardOfKey(ownerRecord)
	moved := *s.founding.Load()
	for slot := range moved.slots {
		moved.slots[slot] = 3 - moved.slots[slot]
	}
	s.shardMap.Store(&moved)
	if now := s.ShardOfKey(ownerRecord); now != at {
		t.Errorf("the record of owner numbers was in shard %d, and is looked for in shard %d", at, now)
	}
}
