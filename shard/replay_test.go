package shard

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func decidedAll(t *testing.T, next func() ([]Entry, error)) (indexes []uint64) {
	t.Helper()
	for {
		list, err := next()
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			return indexes
		}
		for _, e := range list {
			indexes = append(indexes, e.Index)
		}
	}
}

// TestDecidedIsWhatIsCommittedAndHere: no entry that might still be replaced is replayed.
func TestDecidedIsWhatIsCommittedAndHere(t *testing.T) {
	log := &memoryLog{entries: make([]Entry, 1)}
	for i := range uint64(10) {
		log.write(Write{Entries: []Entry{{Index: i + 1, Term: 1, Data: make([]byte, replayBytes/3)}}})
	}
	for _, row := range []struct {
		name        string
		applied     uint64
		commit      uint64
		first, last uint64 // 0: nothing
	}{
		{"a part of the log is committed", 2, 7, 3, 7},
		{"all is", 0, 10, 1, 10},
		{"more than the log still has", 5, 12, 6, 10},
		{"nothing new", 7, 7, 0, 0},
		{"the checkpoint is ahead of the hard state", 8, 3, 0, 0},
		{"nothing", 0, 0, 0, 0},
	} {
		log.hard.Commit = row.commit
		for name, read := range map[string]func() ([]Entry, error){
			"": Decided(log, row.applied), " ahead": ahead(context.Background(), Decided(log, row.applied)),
		} {
			got := decidedAll(t, read)
			if row.first == 0 && len(got) == 0 {
				continue
			}
			if len(got) == 0 || got[0] != row.first || got[len(got)-1] != row.last || len(got) != int(row.last-row.first+1) {
				t.Errorf("%s%s: %v; want %d to %d", row.name, name, got, row.first, row.last)
			}
		}
	}
}

func TestAheadHandsErrorsOnAndEnds(t *testing.T) {
	broken := errors.New("broken")
	if _, err := ahead(context.Background(), func() ([]Entry, error) { return nil, broken })(); !errors.Is(err, broken) {
		t.Errorf("%v; want the error of the log", err)
	}
	synctest.Test(t, func(t *testing.T) { // it fails when a goroutine is left
		ctx, cancel := context.WithCancel(t.Context())
		ahead(ctx, func() ([]Entry, error) { return make([]Entry, 1), nil })
		synctest.Wait()
		cancel()
	})
}

// TestNodeRefusesAReplayOfWhatIsNotCommitted: it would take for decided what another leader may replace.
func TestNodeRefusesAReplayOfWhatIsNotCommitted(t *testing.T) {
	log := &memoryLog{entries: make([]Entry, 1), hard: HardState{Term: 1, Commit: 2}}
	log.write(Write{Entries: []Entry{{Index: 1, Term: 1}, {Index: 2, Term: 1}, {Index: 3, Term: 1}}})
	config := NodeConfig{Shard: 1, Replica: 1, Log: log, Applied: 3, Checkpoint: Checkpoint{Members: NewMembers([]Member{{Replica: 1, Site: 1, Role: Voter}})}}
	if _, err := NewNode(config); !errors.Is(err, ErrInvariant) {
		t.Errorf("%v; want %v", err, ErrInvariant)
	}
	config.Applied = 2
	n, err := NewNode(config)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := n.Status(); err != nil || status.Applied != 2 {
		t.Errorf("%+v, %v", status, err)
	}
}
