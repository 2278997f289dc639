//go:build planted

package sim

import (
	"context"
	_ "embed"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/ledger"
	"holdfast/shard"
	"holdfast/store"
)

// plants are classic mistakes, each with the switch that makes it and the invariants that may notice it first: by another one it
// would be found by accident, and the check that is there for it could be broken without anybody knowing.
var plants = []struct {
	name    string
	on      *bool
	options Options
	by      []string
	why     string // why these, when there are several or the name does not say it
}{
	{"acknowledge before fsync", &shard.PlantedAckBeforeFsync, Options{}, []string{"durable"}, ""},
	{"vote not persisted", &shard.PlantedVoteNotPersisted, Options{}, []string{"durable"}, ""},
	{
		"torn tail accepted", &store.PlantedTornTailAccepted,
		Options{},
		[]string{"log"},
		"the log that a replica starts from has an entry that is not the one that was committed",
	},
	{
		"old tail kept behind an overwritten one", &store.PlantedTailKept,
		Options{},
		[]string{"log"},
		"the log does not end with what was written last, or terms fall within one that a replica starts from",
	},
	{
		"wiped disk votes with an empty log", &shard.PlantedWipedVotes,
		Options{},
		[]string{"forgotten"},
		"the identity has voted and acknowledged, and its disk knows nothing of it",
	},
	{
		"checkpoint installed over acknowledged entries", &shard.PlantedInstallAnyway,
		Options{},
		[]string{"forgotten", "stopped"},
		"what the checkpoint does not have was acknowledged and committed; a leader that believes the acknowledgement stops the replica",
	},
	{
		"first entry after a restart skipped", &shard.PlantedSkipAfterRestart,
		Options{},
		[]string{"outcome", "digest", "account"},
		"a payment that was skipped has no outcome; in an entry without any only the state differs",
	},
	{
		"entry applied twice after a restart", &ledger.PlantedApplyTwice,
		Options{},
		[]string{"checkpoint"},
		"the checkpoint has a state that is one entry newer than it says",
	},
	{"the past answered for while it is open", &shard.PlantedOpenPast, Options{}, []string{"past"}, ""},
	{"stale leader answers a read", &shard.PlantedStaleRead, Options{}, []string{"stale-read"}, ""},
	{"answer matched by order instead of nonce", &shard.PlantedAnyNonce, Options{}, []string{"answer"}, ""},
	{"lost leadership answered as not executed", &shard.PlantedLostIsRefused, Options{}, []string{"phantom"}, ""},
	{
		"corrupt replica wipes itself without asking", &shard.PlantedWipeUnasked,
		Options{},
		[]string{"copies"},
		"what the wiped disk had is not on the disks of a majority of others",
	},
	{"a clock that has run away is believed", &shard.PlantedClockBelieved, Options{}, []string{"clock"}, ""},
	{"clock going back stamps backwards", &shard.PlantedClockBack, Options{}, []string{"time"}, ""},
	{
		"dedupe forgotten after a checkpoint", &ledger.PlantedForgetDedupe,
		Options{},
		[]string{"replay", "outcome"},
		"a retry is done again; or the end of a hold that was ended before the checkpoint, which is found in the same way, is refused by another code",
	},
	{
		"ids left out of a checkpoint", &store.PlantedIDForgotten,
		Options{},
		[]string{"replay", "outcome"},
		"as for dedupe forgotten",
	},
	{
		"refusal forgotten", &ledger.PlantedRefusalForgotten,
		Options{},
		[]string{"replay", "outcome"},
		"the retry of a refused transaction is decided anew; or one that is refused again gets another code",
	},
	{"hold not counted in the limit", &ledger.PlantedHoldNotInLimit, Options{}, []string{"limit"}, ""},
	{"expired early", &ledger.PlantedExpireEarly, Options{}, []string{"hold"}, ""},
	{"legs not atomic", &ledger.PlantedLegsNotAtomic, Options{}, []string{"account"}, "the transaction is refused and money has moved"},
	{"posted more than held", &ledger.PlantedOverPost, Options{}, []string{"hold"}, ""},
	{"checkpoint without open holds", &ledger.PlantedHoldsLost, Options{}, []string{"checkpoint"}, ""},
	{"outbox message sent twice", &ledger.PlantedOutboxTwice, Options{}, []string{"checkpoint"}, ""},
	{"outbox message lost", &ledger.PlantedOutboxLost, Options{}, []string{"checkpoint"}, ""},
	{
		"store: acknowledge before fsync", &store.PlantedAckBeforeFsync,
		Options{Disk: PebbleDisk},
		[]string{"forgotten"},
		"nobody can look at what the real store has synced before it starts again: then it has less than it has promised",
	},
	{"store: vote not persisted", &store.PlantedVoteNotPersisted, Options{Disk: PebbleDisk, Unrest: true}, []string{"forgotten"}, "as before"},
	{
		"store: ids left out of a checkpoint", &store.PlantedIDForgotten,
		Options{Disk: PebbleDisk},
		[]string{"replay", "outcome"},
		"as for dedupe forgotten",
	},
	{"store: old tail kept", &store.PlantedTailKept, Options{Disk: PebbleDisk}, []string{"log"}, ""},
	{
		"leader sleeps while a follower lacks entries", &shard.PlantedSleepUnmatched,
		Options{},
		[]string{"stopped", "committed", "digest", "liveness"},
		"the follower is told that more is committed than it has; or has nothing of that term, and is never sent it",
	},
	{"follower sleeps on when its leader's site is silent", &shard.PlantedSleepOn, Options{}, []string{"sleep"}, ""},
	{"leader sleeps on when nobody hears it", &shard.PlantedSleepUnheard, Options{}, []string{"sleep"}, ""},
	{
		"site goes on to vouch for a leader that is none any more", &shard.PlantedSleepVouched,
		Options{},
		[]string{"sleep", "liveness"},
		"the others sleep on, or are awake and take its beats for heartbeats: nobody campaigns",
	},
	{"leader tells of what its disk has not", &shard.PlantedNoteUnsynced, Options{}, []string{"durable"}, ""},
	{"leader tells of entries of an older term", &shard.PlantedNoteOldTerm, Options{}, []string{"early"}, ""},
	{"leader tells those who are no majority with it", &shard.PlantedNoteToAll, Options{Sites: 5}, []string{"quorum"}, ""},
	{"follower does not look at its own disk", &shard.PlantedEarlyUnsynced, Options{}, []string{"early"}, ""},
	{"leader reads without what it has told", &shard.PlantedReadsUntold, Options{}, []string{"stale-read"}, ""},
	{
		"removed voter still counts", &shard.PlantedRemovedCounts,
		Options{Moves: true},
		[]string{"quorum", "elected", "removed-leads"},
		"what is counted wrongly first: an acknowledgement, a vote, or the leader that does not hear of its own removal",
	},
	{
		"learner counts as a voter", &shard.PlantedLearnerCounts,
		Options{Moves: true},
		[]string{"quorum", "elected", "liveness"},
		"an acknowledgement or a vote; or the leader waits for a majority that counts a learner which is gone",
	},
	{
		"a leader counts by members that it has only appended", &shard.PlantedMembersAtAppend,
		Options{Moves: true},
		[]string{"quorum", "elected"},
		"an acknowledgement or a vote",
	},
	{"leader goes on after its own removal", &shard.PlantedRemovedLeads, Options{}, []string{"removed-leads"}, ""},
	{
		"commit index not written with the entries", &shard.PlantedCommitNotWritten,
		Options{Moves: true},
		[]string{"elected", "liveness"},
		"a restarted voter stands for election by members that have been replaced twice, or asks them in vain for ever",
	},
	{"a removed replica is let in again", &shard.PlantedStrangersJoin, Options{}, []string{"admitted"}, ""},
	{"two voters are left", &shard.PlantedTooFewVoters, Options{}, []string{"voters"}, ""},
	{
		"a leader that differs does not listen", &shard.PlantedOpinionUnheard,
		Options{Rot: true},
		[]string{"divergence"},
		"",
	},
	{
		"whoever meets another digest leaves service", &shard.PlantedNobodyAsked,
		Options{Rot: true},
		[]string{"digest"},
		"when the leader differs, it is the others that meet another digest",
	},
	{"digest mismatch ignored", &ledger.PlantedDigestIgnored, Options{Rot: true}, []string{"divergence"}, ""},
}

// seedsPerPlant bounds the search for one mistake.
const seedsPerPlant = 1000

// plantedSeeds has the seed that found a mistake the last time somebody searched from 1, by the name of the test: seed, space,
// name. It is where the search begins, and no more than that: when the code has changed so much that the seed finds nothing, those after it
// are tried. PLANTED_SEEDS=1 searches from 1, and what -v prints of each test is its new line.
//
//go:embed testdata/planted_seeds
var plantedSeeds string

// searchFrom is where the search of a test begins.
func searchFrom(t *testing.T) uint64 {
	if os.Getenv("PLANTED_SEEDS") != "" {
		return 1
	}
	for line := range strings.Lines(plantedSeeds) {
		text, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != t.Name() {
			continue
		}
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("testdata/planted_seeds: %v", err)
		}
		return seed
	}
	return 1
}

// mustBeFound runs fleets until one breaks an invariant that speaks of the mistake. What the mistake leads to may break others before.
func mustBeFound(t *testing.T, seeds int, o Options, by []string, why string) {
	t.Helper()
	begun := time.Now()
	found := func(r Result) bool { return !r.OK && slices.Contains(by, r.Invariant) }
	s := RunMany(context.Background(), searchFrom(t), seeds, o, func(r Result) bool { return !found(r) })
	if len(s.Failed) == 0 {
		t.Fatalf("%d seeds, and nobody noticed", s.Runs)
	}
	r := s.Failed[len(s.Failed)-1]
	t.Logf("after %d runs, %.1fs: %s: %.160s", s.Runs, time.Since(begun).Seconds(), r.Invariant, r.Failure)
	t.Logf("line: %d %s", r.Seed, t.Name())
	if !found(r) {
		t.Errorf("found by %q, and it is for %v to find it (%s)\n%s", r.Invariant, by, why, r)
	}
}

func TestPlantedFaultsAreFound(t *testing.T) {
	for _, plant := range plants {
		t.Run(plant.name, func(t *testing.T) {
			*plant.on = true
			defer func() { *plant.on = false }()
			mustBeFound(t, seedsPerPlant, plant.options, plant.by, plant.why)
		})
	}
}

// TestPlantedNothingIsFoundWithoutAFault shows that the build itself is as good as the normal one.
func TestPlantedNothingIsFoundWithoutAFault(t *testing.T) {
	for _, o := range []Options{{}, {Rot: true}, {Unrest: true}, {Moves: true}} {
		if s := RunMany(context.Background(), 1, 40, o, nil); len(s.Failed) > 0 {
			t.Errorf("%s", s.Failed[0])
		}
	}
}
