//go:build planted

package sim

import (
	"context"
	"testing"

	"holdfast/ledger"
	"holdfast/pay"
	"holdfast/slot"
	"holdfast/transit"
)

// marketPlants are mistakes of the domain, and of the records that travel with its payments, each with the invariants that speak of it.
var marketPlants = []struct {
	name       string
	on         *bool
	invariants []string
	slots      bool
}{
	{"a land ignores the versions that it expects", &transit.PlantedLandUnversioned, []string{"trade", "market", "audit", "code", "lost-deal", "settlement"}, false},
	{"what a refused payment wrote stands", &transit.PlantedRecordsStand, []string{"trade", "market", "audit", "lost-deal", "phantom-deal"}, false},
	{"a record that waits is written", &ledger.PlantedPendingIgnored, []string{"outcome"}, false},
	{"a record that waits is believed", &pay.PlantedPendingBelieved, []string{"lost-deal", "stale-trade", "market", "phantom-deal"}, false},
	{"the use of a code is not recorded", &pay.PlantedUsedCodeAgain, []string{"code"}, false},
	{"a refund is done again", &pay.PlantedRefundForgotten, []string{"trade", "market", "audit"}, false},
	{"more is refunded than was paid", &pay.PlantedRefundTooMuch, []string{"trade"}, false},
	{"a closed trade is paid", &pay.PlantedClosedPays, []string{"trade"}, false},
	{"what is released stays held", &pay.PlantedEscrowLeaks, []string{"audit", "trade"}, false},
	{"unknown is told as refused", &pay.PlantedUnknownFailed, []string{"refusal", "phantom-deal"}, false},
	{"rows come into a day that is settled", &pay.PlantedDayOpen, []string{"settlement"}, false},
	{"records stay behind when a slot moves", &slot.PlantedChangesLeft, []string{"trade", "market", "audit", "liveness", "lost-deal", "stale-trade", "slot", "nomad"}, true},
}

func TestPlantedFaultsOfMarketsAreFound(t *testing.T) {
	for _, plant := range marketPlants {
		t.Run(plant.name, func(t *testing.T) {
			*plant.on = true
			defer func() { *plant.on = false }()
			mustBeFound(t, seedsPerPlant, Options{Shards: 2, Trades: true, Slots: plant.slots}, plant.invariants, "")
		})
	}
}

// TestPlantedNothingInMarkets shows that the same fleets are good without a fault.
func TestPlantedNothingInMarkets(t *testing.T) {
	for _, slots := range []bool{false, true} {
		if s := RunMany(context.Background(), 1, 20, Options{Shards: 2, Trades: true, Slots: slots}, nil); len(s.Failed) > 0 {
			t.Errorf("%s", s.Failed[0])
		}
	}
}
