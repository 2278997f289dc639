package drill

import (
	"strings"
	"testing"
	"time"
)

// An election is the drill's doing when its cables had stood still for as long as a site waits for its leader, just before; not when
// they were a little late, nor when they were late at another time.
func TestElectionsThatTheCablesForced(t *testing.T) {
	ms := time.Millisecond
	reigns := []Reign{{1, 1, 1, -time.Second}, {1, 3, 2, 5 * time.Second}, {2, 2, 1, -time.Second}, {1, 1, 4, 5400 * ms}, {2, 1, 2, 9 * time.Second}}
	late := func(at, tardy time.Duration) []Reading {
		return []Reading{{At: at - 300*ms}, {At: at, Tardy: tardy}, {At: at + 100*ms}}
	}
	for _, c := range []struct {
		name     string
		reads    []Reading
		unwanted int
		forced   int
	}{
		{"never late", late(4800*ms, 0), 3, 0},
		{"no readings", nil, 3, 0},
		{"a little late", late(4800*ms, 79*ms), 3, 0},
		{"for as long as a site waits", late(4800*ms, 80*ms), 1, 2},
		{"read late, because whoever reads stood still as well", late(5200*ms, 400*ms), 1, 2},
		{"long before", late(3900*ms, 400*ms), 3, 0},
		{"afterwards", late(10*time.Second, 400*ms), 3, 0},
	} {
		unwanted, forced := elections(reigns, lapses(c.reads, listens(10*ms)))
		if len(unwanted) != c.unwanted || len(forced) != c.forced {
			t.Errorf("%s: %d unwanted and %d forced, want %d and %d: %q %q", c.name, len(unwanted), len(forced), c.unwanted, c.forced, unwanted, forced)
		}
	}
	if got := listens(30 * ms); got != 100*ms {
		t.Errorf("at 30 ms a site hears its leader for %v before it suspects it, want 100 ms: four round trips less a heartbeat", got)
	}
}

func TestTardinessIsTold(t *testing.T) {
	reads := []Reading{{At: time.Second, Tardy: 19 * time.Millisecond}}
	if got := tardiness(reads); got != "" {
		t.Errorf("told of 19 ms: %q", got)
	}
	reads = append(reads, Reading{At: 2 * time.Second, Tardy: 213 * time.Millisecond}, Reading{At: 3 * time.Second, Tardy: 20 * time.Millisecond})
	if got := tardiness(reads); !strings.Contains(got, "2 times, the longest for 213 ms, 2.0 s after the start") {
		t.Errorf("%q", got)
	}
}
