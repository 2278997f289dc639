package holdfast_test

import (
	"testing"
	"time"

	"holdfast"
)

// TestTimesFarAway: what does not fit is the nearest that does, on its own side, with room for a delay.
func TestTimesFarAway(t *testing.T) {
	for _, row := range []struct {
		year int
		want holdfast.Time
	}{{1, holdfast.FirstTime}, {1677, holdfast.FirstTime}, {1678, holdfast.FirstTime}, {2262, holdfast.LastTime}, {9999, holdfast.LastTime}} {
		if got := holdfast.TimeOf(time.Date(row.year, 1, 1, 0, 0, 0, 0, time.UTC)); got != row.want {
			t.Errorf("year %d: %v, want %v", row.year, got, row.want)
		}
	}
	for _, at := range []holdfast.Time{holdfast.FirstTime, -1, 0, 1, holdfast.LastTime - 1, holdfast.LastTime} {
		if got := holdfast.TimeOf(at.Std()); got != at {
			t.Errorf("%v became %v", at, got)
		}
	}
	delay := holdfast.Time(24 * time.Hour)
	if holdfast.LastTime+delay < holdfast.LastTime || holdfast.FirstTime-delay > holdfast.FirstTime {
		t.Error("there is no room for a delay")
	}
	if first := holdfast.FirstTime.String(); first != "1678-01-01T00:00:00Z" {
		t.Error(first)
	}
	if last := holdfast.LastTime.String(); last != "2262-01-01T00:00:00Z" {
		t.Error(last)
	}
}
