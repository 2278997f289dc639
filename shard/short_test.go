package shard

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"holdfast"
	"holdfast/store"
)

const roomReserve = 1 << 20

// roomDisk is a disk with so much room. What is fetched cannot be written when less than the reserve is left.
type roomDisk struct {
	vfs.FS
	free atomic.Int64
}

func (d *roomDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: uint64(d.free.Load()), TotalBytes: 1 << 40}, nil
}

func (d *roomDisk) Create(path string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if d.free.Load() < roomReserve && (strings.Contains(path, "import-") || strings.Contains(path, "install-")) {
		return nil, syscall.ENOSPC
	}
	return d.FS.Create(path, c)
}

// staged lists what is gathered at a site.
func (d *roomDisk) staged(t *testing.T) []string {
	t.Helper()
	names, err := d.List("data/stage")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, "import-") })
}

// leftBehind makes a fleet of three in which one site has been away for so long that it needs a checkpoint, and is still away.
func leftBehind(f *fleet) (away, lead holdfast.SiteID) {
	f.t.Helper()
	mustDone(f, f.pay(openTxn(1, 1, 2)))
	away = others(f, f.leader())[0]
	f.isolate(away, true)
	for n := range uint64(200) {
		mustDone(f, f.pay(payTxn(n+2, 1, 2, 1), others(f, away)...))
	}
	time.Sleep(3 * time.Second) // bubble time: until checkpoints have moved on
	return away, f.leader(others(f, away)...)
}

func mustLiveOn(f *fleet, id holdfast.SiteID) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.nodes[id].fatal; err != nil {
		f.t.Fatalf("site %d has stopped: %v", id, err)
	}
}

// TestFetchingWaitsForSpace: a checkpoint for which there is no room is not fetched, and one that finds the disk full on its way gives
// back what it has taken; the site lives, says what it waits for, and goes on by itself when there is room.
func TestFetchingWaitsForSpace(t *testing.T) {
	disks := map[holdfast.SiteID]*roomDisk{}
	var fills atomic.Int64 // chunks until the disk is full
	fills.Store(1 << 20)
	tune := func(h *HostConfig, s *store.Options) {
		smallWindow(h, s)
		disk := &roomDisk{FS: s.FS}
		disk.free.Store(1 << 39)
		disks[h.Site] = disk
		s.FS, s.ReserveBytes = disk, roomReserve
		call := h.Call
		h.Call = func(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
			if method == methodPart && fills.Add(-1) == 0 {
				disk.free.Store(roomReserve - 1)
			}
			return call(ctx, to, method, payload)
		}
	}
	bubble(t, 3, tune, func(f *fleet) {
		away, _ := leftBehind(f)
		disk := disks[away]
		disk.free.Store(roomReserve + 1<<10)
		f.isolate(away, false)
		waits := func() bool { return strings.Contains(f.host(away).Status()[0].NoSpace, "free space or add a disk") }
		f.until("the site to say what it waits for", func() bool { return waits() && saw(f, away, EventNoSpace) })
		time.Sleep(5 * time.Second) // bubble time: several offers
		mustLiveOn(f, away)
		if saw(f, away, EventInstalled) {
			t.Fatal("a checkpoint was installed without room")
		}
		fills.Store(4)
		disk.free.Store(1 << 39)
		f.until("the disk to be full", func() bool { return fills.Load() <= 0 })
		f.until("what was fetched to be given back", func() bool { return waits() && len(disk.staged(t)) == 0 })
		time.Sleep(5 * time.Second) // bubble time: several offers
		mustLiveOn(f, away)
		if !waits() || len(disk.staged(t)) > 0 {
			t.Errorf("on a full disk: waits %v, has %v", waits(), disk.staged(t))
		}
		disk.free.Store(1 << 39)
		f.until("the checkpoint to be installed", func() bool { return saw(f, away, EventInstalled) })
		f.agree()
		mustBalance(f, away, 2, 200)
		f.until("nothing to be waited for", func() bool { return !waits() })
	})
}

// TestFullDiskDropsWhatWasFetched: also when nobody offers a checkpoint any more, the log gets the space back.
func TestFullDiskDropsWhatWasFetched(t *testing.T) {
	var disk *roomDisk
	tune := func(h *HostConfig, s *store.Options) {
		disk = &roomDisk{FS: s.FS}
		disk.free.Store(1 << 39)
		s.FS, s.ReserveBytes = disk, roomReserve
	}
	bubble(t, 1, tune, func(f *fleet) {
		mustDone(f, f.pay(openTxn(1, 1, 2)))
		if _, err := f.host(1).config.Store.Shard(testShard).Import(store.Copy{Export: 1}); err != nil {
			t.Fatal(err)
		}
		if len(disk.staged(t)) == 0 {
			t.Fatal("nothing was begun")
		}
		disk.free.Store(roomReserve - 1)
		f.until("the space to be given back", func() bool { return len(disk.staged(t)) == 0 })
		mustLiveOn(f, 1)
	})
}

// requests notes which chunks a site asks of whom, and cuts the cable when it has got so many.
type requests struct {
	mu    sync.Mutex
	asked map[holdfast.SiteID][]uint32
	left  int
}

func (r *requests) tune(h *HostConfig, s *store.Options) {
	smallWindow(h, s)
	call := h.Call
	h.Call = func(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
		if method == methodPart && !r.passes(to, numberOf(payload)) {
			return nil, errCut
		}
		return call(ctx, to, method, payload)
	}
}

func (r *requests) passes(to holdfast.SiteID, n uint32) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left--; r.left < 0 {
		return false
	}
	r.asked[to] = append(r.asked[to], n)
	return true
}

func (r *requests) of(site holdfast.SiteID) []uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked[site])
}

// TestWhatWasFetchedOfTheLogIsKept: when the site that was fetched from is gone, the next one goes on behind the entries that are here.
func TestWhatWasFetchedOfTheLogIsKept(t *testing.T) {
	const before = 6
	r := &requests{asked: map[holdfast.SiteID][]uint32{}, left: before}
	bubble(t, 3, r.tune, func(f *fleet) {
		away, lead := leftBehind(f)
		f.isolate(away, false)
		f.until("some of it to be fetched", func() bool { return len(r.of(lead)) == before })
		f.kill(lead)
		f.sites = slices.DeleteFunc(slices.Clone(f.sites), func(id holdfast.SiteID) bool { return id == lead })
		r.mu.Lock()
		r.left = 1 << 20
		r.mu.Unlock()
		f.until("the checkpoint to be installed", func() bool { return saw(f, away, EventInstalled) })
		f.agree()
		mustBalance(f, away, 2, 200)
		next := f.sites[0]
		if next == away {
			next = f.sites[1]
		}
		if got := r.of(next); len(got) == 0 || got[0] != before {
			t.Errorf("after chunks %v of site %d, chunks %v of site %d were fetched", r.of(lead), lead, got, next)
		}
	})
}

// TestFetchingFromAnEarlierVersion: a site that does not know the newer questions is asked the older ones.
func TestFetchingFromAnEarlierVersion(t *testing.T) {
	tune := func(h *HostConfig, s *store.Options) {
		smallWindow(h, s)
		call := h.Call
		h.Call = func(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
			if method == methodCopy || method == methodPart {
				return nil, errors.New("method is unknown here")
			}
			return call(ctx, to, method, payload)
		}
	}
	bubble(t, 3, tune, func(f *fleet) {
		away, _ := leftBehind(f)
		f.isolate(away, false)
		f.until("the checkpoint to be installed", func() bool { return saw(f, away, EventInstalled) })
		f.agree()
		mustBalance(f, away, 2, 200)
	})
}
