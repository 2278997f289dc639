//go:build planted

package slot

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	"holdfast/ledger"
	"holdfast/transit"
)

// TestPlantedFaultsAreSeen: the property test notices every mistake of moving a slot.
func TestPlantedFaultsAreSeen(t *testing.T) {
	if name := os.Getenv("PLANT"); name != "" {
		*faults[name] = true
		// With a seed of its own: whether a search comes upon a mistake must not be a matter of luck.
		for key, value := range map[string]string{"seed": "20150527", "checks": "12000", "steps": "100", "nofailfile": "true", "shrinktime": "1s"} {
			if err := flag.Set("rapid."+key, value); err != nil {
				t.Fatal(err)
			}
		}
		TestMovesLoseNothing(t)
		return
	}
	for name := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each is a process of its own
			c := exec.Command(os.Args[0], "-test.run=^TestPlantedFaultsAreSeen$")
			c.Env = append(os.Environ(), "PLANT="+name)
			out, err := c.CombinedOutput()
			if err == nil {
				t.Fatalf("nobody noticed")
			}
			what := string(out)
			for line := range strings.Lines(what) {
				if strings.Contains(line, "world_test.go") && !strings.Contains(line, "draw") {
					what = line
				}
			}
			t.Logf("%.300s", strings.TrimSpace(what))
		})
	}
}

var faults = map[string]*bool{
	"PageAgain":        &PlantedPageAgain,
	"ShutUndrained":    &PlantedShutUndrained,
	"FinishEarly":      &PlantedFinishEarly,
	"HoldsLeft":        &PlantedHoldsLeft,
	"StayUnasked":      &PlantedStayUnasked,
	"MapBeforeFinish":  &PlantedMapBeforeFinish,
	"OriginsForgotten": &transit.PlantedOriginsForgotten,
	"GateLeaks":        &ledger.PlantedGateLeaks,
	"ChangesLeft":      &PlantedChangesLeft,
	"VersionsAnew":     &PlantedVersionsAnew,
	"RecordsKept":      &PlantedRecordsKept,
	"RecordLeaks":      &ledger.PlantedRecordLeaks,
	"PendingIgnored":   &ledger.PlantedPendingIgnored,
	"RecordsStand":     &transit.PlantedRecordsStand,
	"RecordsUndrained": &transit.PlantedRecordsUndrained,
}
