//go:build planted

package pay_test

import (
	"fmt"
	"math/rand"
	"testing"

	"holdfast/pay"
)

// TestPlantedFaultsAreSeen: the twin and the audit notice every fault that can be planted, and nothing without one.
func TestPlantedFaultsAreSeen(t *testing.T) {
	for name, fault := range map[string]*bool{
		"LimitIgnored":    &pay.PlantedLimitIgnored,
		"UsedCodeAgain":   &pay.PlantedUsedCodeAgain,
		"RefundTooMuch":   &pay.PlantedRefundTooMuch,
		"FeeKept":         &pay.PlantedFeeKept,
		"ClosedPays":      &pay.PlantedClosedPays,
		"EscrowLeaks":     &pay.PlantedEscrowLeaks,
		"RefundForgotten": &pay.PlantedRefundForgotten,
		"UnknownFailed":   &pay.PlantedUnknownFailed,
	} {
		*fault = true
		seen := complaint(200)
		*fault = false
		if seen == "" {
			t.Errorf("nobody noticed %s", name)
		}
		t.Logf("%s: %.200s", name, seen)
	}
	if seen := complaint(20); seen != "" {
		t.Errorf("without a fault: %s", seen)
	}
}

// complaint runs histories and returns the first thing found wrong.
func complaint(histories int) (found string) {
	defer func() {
		if r := recover(); r != nil {
			found = fmt.Sprint(r)
		}
	}()
	for seed := range histories {
		random := rand.New(rand.NewSource(int64(seed)))
		r := newRun(complainer{}, func(_ string, n int) int { return random.Intn(n) })
		for range 40 {
			r.step()
		}
	}
	return ""
}

// complainer panics with what a test would fail with.
type complainer struct{}

func (complainer) Helper()                           {}
func (complainer) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
