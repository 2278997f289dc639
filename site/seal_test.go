package site

import (
	"testing"
	"time"

	"holdfast"
)

// Neighbours in number, as the voters of a fleet are, do not make their checkpoints at once; and none waits for long.
func TestSitesMakeCheckpointsAtDifferentTimes(t *testing.T) {
	seen := map[holdfast.Time]holdfast.SiteID{}
	for id := range holdfast.SiteID(8) {
		age := sealAge(id + 1)
		if other, taken := seen[age]; taken {
			t.Errorf("sites %d and %d wait for %d ns alike", other, id+1, age)
		}
		if d := time.Duration(age); d < 10*time.Second || d > 20*time.Second {
			t.Errorf("site %d waits for %v", id+1, d)
		}
		seen[age] = id + 1
	}
	s, err := Open(Embedded(t.TempDir(), "127.0.0.1:8080"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.opts.Machine.SealAge; got != sealAge(1) {
		t.Errorf("site 1 waits for %v, want %v", got, sealAge(1))
	}
}
