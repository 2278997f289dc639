//go:build planted

package sim

import (
	"context"
	"testing"
	"time"

	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/store"
)

// plants are classic mistakes, each with the switch that makes it and the seeds within which it has to be found.
var plants = []struct {
	name    string
	on      *bool
	options Options
}{
	{"acknowledge before fsync", &shard.PlantedAckBeforeFsync, Options{}},
	{"vote not persisted", &shard.PlantedVoteNotPersisted, Options{}},
	{"torn tail accepted", &store.PlantedTornTailAccepted, Options{}},
	{"old tail kept behind an overwritten one", &store.PlantedTailKept, Options{}},
	{"wiped disk votes with an empty log", &shard.PlantedWipedVotes, Options{}},
	{"checkpoint installed over acknowledged entries", &shard.PlantedInstallAnyway, Options{}},
	{"first entry after a restart skipped", &shard.PlantedSkipAfterRestart, Options{}},
	{"entry applied twice after a restart", &ledger.PlantedApplyTwice, Options{}},
	{"stale leader answers a read", &shard.PlantedStaleRead, Options{}},
	{"answer matched by order instead of nonce", &shard.PlantedAnyNonce, Options{}},
	{"lost leadership answered as not executed", &shard.PlantedLostIsRefused, Options{}},
	{"clock going back stamps backwards", &shard.PlantedClockBack, Options{}},
	{"corrupt replica wipes itself without asking", &shard.PlantedWipeUnasked, Options{}},
	{"dedupe forgotten after a checkpoint", &ledger.PlantedForgetDedupe, Options{}},
	{"ids left out of a checkpoint", &store.PlantedIDForgotten, Options{}},
	{"refusal forgotten", &ledger.PlantedRefusalForgotten, Options{}},
	{"hold not counted in the limit", &ledger.PlantedHoldNotInLimit, Options{}},
	{"expired early", &ledger.PlantedExpireEarly, Options{}},
	{"legs not atomic", &ledger.PlantedLegsNotAtomic, Options{}},
	{"posted more than held", &ledger.PlantedOverPost, Options{}},
	{"checkpoint without open holds", &ledger.PlantedHoldsLost, Options{}},
	{"outbox message sent twice", &ledger.PlantedOutboxTwice, Options{}},
	{"outbox message lost", &ledger.PlantedOutboxLost, Options{}},
	{"store: acknowledge before fsync", &store.PlantedAckBeforeFsync, Options{Disk: PebbleDisk}},
	{"store: vote not persisted", &store.PlantedVoteNotPersisted, Options{Disk: PebbleDisk, Unrest: true}},
	{"store: ids left out of a checkpoint", &store.PlantedIDForgotten, Options{Disk: PebbleDisk}},
	{"store: old tail kept", &store.PlantedTailKept, Options{Disk: PebbleDisk}},
	{"digest mismatch ignored", &ledger.PlantedDigestIgnored, Options{Rot: true}},
}

// seedsPerPlant bounds the search for one mistake.
const seedsPerPlant = 400

func TestPlantedFaultsAreFound(t *testing.T) {
	for _, plant := range plants {
		t.Run(plant.name, func(t *testing.T) {
			*plant.on = true
			defer func() { *plant.on = false }()
			begun := time.Now()
			s := RunMany(context.Background(), 1, seedsPerPlant, plant.options, func(r Result) bool { return r.OK })
			if len(s.Failed) == 0 {
				t.Fatalf("%d seeds, and nobody noticed", s.Runs)
			}
			r := s.Failed[0]
			t.Logf("seed %d, after %d runs, %.1fs: %s: %.160s", r.Seed, s.Runs, time.Since(begun).Seconds(), r.Invariant, r.Failure)
		})
	}
}

// TestPlantedNothingIsFoundWithoutAFault shows that the build itself is as good as the normal one.
func TestPlantedNothingIsFoundWithoutAFault(t *testing.T) {
	for _, o := range []Options{{}, {Rot: true}, {Unrest: true}} {
		if s := RunMany(context.Background(), 1, 40, o, nil); len(s.Failed) > 0 {
			t.Errorf("%s", s.Failed[0])
		}
	}
}
