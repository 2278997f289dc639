package link

import (
	"testing"
	"time"
)

// TestSilenceTakesSixPings: a connection is given up when that many are unanswered, not fewer, and no later than 350 ms after the last
// answer was asked for, whatever pings cost at rest.
func TestSilenceTakesSixPings(t *testing.T) {
	for _, ping := range []time.Duration{0, 40 * time.Millisecond} { // as a link has it, and as sites do
		timing := Timing{Ping: ping}.withDefaults()
		p := &path{peer: &peer{link: &Link{timing: timing}}}
		pings := p.maxQuiet()
		if pings < 6 {
			t.Errorf("ping %v: %d unanswered pings end a connection, want 6", timing.Ping, pings)
		}
		if noticed := time.Duration(pings+1) * timing.Ping; noticed > 350*time.Millisecond || noticed < timing.Silence {
			t.Errorf("ping %v: silence is noticed %v after the last ping that was answered, want 300 to 350 ms", timing.Ping, noticed)
		}
	}
}
