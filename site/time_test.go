package site

import (
	"testing"
	"time"

	"holdfast"
	"holdfast/fault"
)

// TestTheTimeOfASiteIsThatOfTheFleet: a site whose clock is a day ahead does not take it to be tomorrow, or it would close the days of merchants.
func TestTheTimeOfASiteIsThatOfTheFleet(t *testing.T) {
	f := &fleet{t: t, configs: map[holdfast.SiteID]Config{}, sites: map[holdfast.SiteID]*Site{}}
	const day = 24 * time.Hour
	f.edit = func(id holdfast.SiteID, o *Options) {
		if id == 2 {
			o.Wall = func() holdfast.Time { return holdfast.TimeOf(time.Now().Add(day)) }
		}
	}
	f.net = fault.NewNet(time.Millisecond)
	f.configure(3, 1, 1)
	f.run()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		ahead := time.Until(f.site(2).Time())
		if ahead < time.Minute {
			break
		}
		if time.Since(began) > patience {
			t.Fatalf("the site takes it to be %v later than it is", ahead)
		}
	}
	for _, id := range []holdfast.SiteID{1, 2, 3} {
		if off := time.Until(f.site(id).Time()).Abs(); off > time.Minute {
			t.Errorf("site %d is off by %v", id, off)
		}
	}
}
