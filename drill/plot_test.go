package drill

import (
	"math"
	"testing"
	"time"
)

// Where no reading was taken there is no line, and where nothing was sent it is at the bottom.
func TestTrafficRates(t *testing.T) {
	e := &Evidence{Length: 4 * time.Second}
	for at := time.Duration(0); at < 4*time.Second; at += meterEvery {
		if at < time.Second || at >= 2*time.Second {
			e.Traffic = append(e.Traffic, Reading{At: at, Sent: []uint64{uint64(at / ms), 5}})
		}
	}
	rates := trafficRates(e, 0, int(e.Length/trafficStep(e)))
	if got := rates[15]; math.Abs(got-1000) > 1 {
		t.Errorf("%.1f bytes a second, want 1000", got)
	}
	if !math.IsNaN(rates[7]) {
		t.Errorf("%.1f bytes a second where nothing was read", rates[7])
	}
	if got := trafficRates(e, 1, 20)[15]; got != 0 {
		t.Errorf("%.1f bytes a second over a carrier that stood still", got)
	}
	if got := trafficRates(e, 2, 20)[15]; !math.IsNaN(got) {
		t.Errorf("%.1f bytes a second over a carrier that is none", got)
	}
}
