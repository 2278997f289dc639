package shard

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"holdfast"
	"holdfast/store"
)

// spoil changes the last row of a chunk as a fault in the memory of the sender does: the checksum of the chunk is right, what it holds
// is not.
func spoil(answer []byte) []byte {
	answer = slices.Clone(answer)
	chunk := answer[1:]
	body := chunk[:len(chunk)-4]
	body[len(body)-1] ^= 1
	binary.LittleEndian.PutUint32(chunk[len(body):], crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
	return answer
}

// TestABadCheckpointCondemnsNobody: what another site has sent says nothing of the disk that it came to. The replica stays who it is,
// and gets its checkpoint from somebody else, or from the same site when that has no fault any more.
func TestABadCheckpointCondemnsNobody(t *testing.T) {
	for name, alone := range map[string]bool{"another site has one": false, "nobody else is there": true} {
		t.Run(name, func(t *testing.T) {
			var bad, spoils atomic.Int64 // the site that sends what is wrong, and how often it still does
			tune := func(h *HostConfig, s *store.Options) {
				smallWindow(h, s)
				call := h.Call
				h.Call = func(ctx context.Context, to holdfast.SiteID, method string, payload []byte) ([]byte, error) {
					answer, err := call(ctx, to, method, payload)
					if method == methodPart && err == nil && numberOf(payload) == 0 && int64(to) == bad.Load() && spoils.Add(-1) >= 0 {
						answer = spoil(answer) // the first chunk, which ends with an entry of the log
					}
					return answer, err
				}
			}
			bubble(t, 3, tune, func(f *fleet) { fetchesDespite(f, &bad, &spoils, alone) })
		})
	}
}

// numberOf is the number of the chunk that a request is for.
func numberOf(payload []byte) uint32 { return binary.BigEndian.Uint32(payload[10:]) }

func fetchesDespite(f *fleet, bad, spoils *atomic.Int64, alone bool) {
	f.t.Helper()
	mustDone(f, f.pay(openTxn(1, 1, 2)))
	away := others(f, f.leader())[0]
	f.isolate(away, true)
	rest := others(f, away)
	for n := range uint64(200) {
		mustDone(f, f.pay(payTxn(n+2, 1, 2, 1), rest...))
	}
	time.Sleep(3 * time.Second) // bubble time: until checkpoints have moved on
	lead := f.leader(rest...)
	bad.Store(int64(lead))
	spoils.Store(1 << 20)
	if alone {
		spoils.Store(1)
		f.kill(rest[1-slices.Index(rest, lead)])
		f.sites = []holdfast.SiteID{away, lead}
	}
	before := f.host(away).config.Store.Shard(testShard).Identity()
	f.isolate(away, false)
	f.until("the bad checkpoint to be noticed", func() bool { return saw(f, away, EventSpoilt) })
	f.until("a good one to be installed", func() bool { return saw(f, away, EventInstalled) })
	f.agree()
	mustBalance(f, away, 2, 200)
	if saw(f, away, EventCorrupt) || saw(f, away, EventWiped) || f.host(away).config.Store.Shard(testShard).Identity().Replica != before.Replica {
		f.t.Error("the replica was condemned for what another site has sent")
	}
	if err := f.host(away).config.Store.Shard(testShard).Damage(); err != nil {
		f.t.Errorf("the disk is said to be damaged: %v", err)
	}
}
