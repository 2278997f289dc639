package link

import (
	"testing"
	"time"
)

// TestSilenceTakesSixPings: a connection is given up when that many are unanswered, not fewer, and no later than 350 ms after the last
// answer was asked for, whatever pings cost at rest.
func TestSilenceTakesSixPings(t *testing.T) {
	timing := Timing{}.withDefaults()
	p := &path{peer: &peer{link: &Link{timing: timing}}}
	pings := p.maxQuiet()
	if pings < 6 {
		t.Errorf("%d unanswered pings end a connection, want 6", pings)
	}
	if noticed := time.Duration(pings+1) * timing.Ping; noticed > 350*time.Millisecond {
		t.Errorf("silence is noticed %v after the last ping that was answered, want 350 ms", noticed)
	}
}
