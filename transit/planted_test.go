//go:build planted

package transit

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestPlantedFaultsAreSeen: the property test notices every mistake that its shards can make.
func TestPlantedFaultsAreSeen(t *testing.T) {
	if name := os.Getenv("PLANT"); name != "" {
		*faults[name] = true
		must(t, flag.Set("rapid.seed", "20150527")) // whether a search comes upon a mistake must not be a matter of luck
		must(t, flag.Set("rapid.checks", "1000"))
		must(t, flag.Set("rapid.nofailfile", "true"))
		must(t, flag.Set("rapid.shrinktime", "1s"))
		TestMoneyIsConserved(t)
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
				if strings.Contains(line, "world_test.go") {
					what = line
				}
			}
			t.Logf("%.300s", strings.TrimSpace(what))
		})
	}
}

var faults = map[string]*bool{
	"AckUnsettled":    &PlantedAckUnsettled,
	"MessageKept":     &PlantedMessageKept,
	"RefusedLanded":   &PlantedRefusedLanded,
	"NotFoundRefused": &PlantedNotFoundRefused,
	"FreshLand":       &PlantedFreshLand,
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
