//go:build planted

package bank

import (
	"os"
	"os/exec"
	"testing"
)

// TestPlantedFaultsAreSeen: the tests of reconciliation notice what would let differences through.
func TestPlantedFaultsAreSeen(t *testing.T) {
	faults := map[string]*bool{"SumsOnly": &PlantedSumsOnly, "TwiceIsOnce": &PlantedTwiceIsOnce}
	if name := os.Getenv("PLANT"); name != "" {
		*faults[name] = true
		TestDifferences(t)
		TestLargeBooks(t)
		return
	}
	for name := range faults {
		c := exec.Command(os.Args[0], "-test.run=^TestPlantedFaultsAreSeen$")
		c.Env = append(os.Environ(), "PLANT="+name)
		if out, err := c.CombinedOutput(); err == nil {
			t.Errorf("nobody noticed %s", name)
		} else {
			t.Logf("%s: %.200s", name, out)
		}
	}
}
