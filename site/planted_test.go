//go:build planted

package site

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"holdfast/shard"
)

// TestPlantedFaultsAreSeen: the schedules of births notices every mistake.
func TestPlantedFaultsAreSeen(t *testing.T) {
	faults := map[string]*bool{"NameAgain": &PlantedNameAgain, "NameUnasked": &PlantedNameUnasked, "WipedVotes": &shard.PlantedWipedVotes}
	if name := os.Getenv("PLANT"); name != "" {
		*faults[name] = true
		schedules = 30_000
		TestABirthHasOneListOfFounders(t)
		return
	}
	for name := range faults {
		c := exec.Command(os.Args[0], "-test.run=^TestPlantedFaultsAreSeen$")
		c.Env = append(os.Environ(), "PLANT="+name)
		out, err := c.CombinedOutput()
		if err == nil {
			t.Errorf("nobody noticed %s", name)
			continue
		}
		what := string(out)
		for line := range strings.Lines(what) {
			if strings.Contains(line, "birth_test.go") && !strings.Contains(line, "draw") {
				what = line
			}
		}
		t.Logf("%s: %.300s", name, strings.TrimSpace(what))
	}
}
