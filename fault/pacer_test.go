package fault

import (
	"testing"
	"time"
)

// TestPacerClosesWhileItRings closes it at any moment of its wakes: each needs the lock that whoever closes had.
func TestPacerClosesWhileItRings(t *testing.T) {
	for range 300 {
		p, err := newPacer()
		if err != nil {
			t.Fatal(err)
		}
		cable := &Cable{pacer: p}
		cable.line.Store(&line{})
		p.at(newFlow(&conn{cable: cable}, 0), time.Now())
		p.close()
	}
}
