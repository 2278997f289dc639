//go:build planted

package ledger

import (
	"fmt"
	"os"
	"testing"
)

// TestPlantedFaultsAreSeen: the table of outcomes and the model notice every fault that can be planted.
func TestPlantedFaultsAreSeen(t *testing.T) {
	for name, fault := range map[string]*bool{
		"ForgetDedupe":     &PlantedForgetDedupe,
		"LandForgotten":    &PlantedLandForgotten,
		"HoldNotInLimit":   &PlantedHoldNotInLimit,
		"RefusalForgotten": &PlantedRefusalForgotten,
		"ExpireEarly":      &PlantedExpireEarly,
		"LegsNotAtomic":    &PlantedLegsNotAtomic,
		"OverPost":         &PlantedOverPost,
		"OutboxTwice":      &PlantedOutboxTwice,
		"OutboxLost":       &PlantedOutboxLost,
		"HoldsLost":        &PlantedHoldsLost,
		"ApplyTwice":       &PlantedApplyTwice,
	} {
		*fault = true
		seen := complaint(t, (*world).seal)
		if seen == "" {
			seen = complaint(t, func(w *world) { w.seal(); w.forget(); w.restart() })
		}
		*fault = false
		if seen == "" {
			t.Errorf("nobody noticed %s", name)
		}
		t.Logf("%s: %.200s", name, seen)
	}
	if seen := complaint(t, (*world).seal); seen != "" {
		t.Errorf("without a fault: %s", seen)
	}
}

// complaint runs the table and returns the first thing found wrong.
func complaint(t *testing.T, after func(*world)) (found string) {
	defer func() {
		if r := recover(); r != nil {
			found = fmt.Sprint(r)
		}
	}()
	data, err := os.ReadFile(outcomesFile)
	must(t, err)
	if got := runScript(complainer{}, string(data), after); got != string(data) {
		return "the table reads differently"
	}
	return ""
}

// complainer panics with what a test would fail with.
type complainer struct{}

func (complainer) Helper()                           {}
func (complainer) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (complainer) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
