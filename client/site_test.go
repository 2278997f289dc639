package client

import (
	"testing"
	"time"
)

// Many calls that meet the same stall are one failure: they must not keep a site away for as long as a dead one.
func TestOneStallIsOneStrike(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var s site
	for range 30 {
		s.bad(now)
	}
	if s.due(now.Add(sickFirst-1)) || !s.due(now.Add(sickFirst)) {
		t.Errorf("one stall keeps the site away until %s, want %s", time.Duration(s.sickUntil.Load()-now.UnixNano()), sickFirst)
	}
	now = now.Add(sickFirst)
	s.bad(now) // it failed again when it was due
	if s.due(now.Add(2*sickFirst-1)) || !s.due(now.Add(2*sickFirst)) {
		t.Error("the second failure in a row does not keep it away for twice as long")
	}
}
