package drill

import (
	"strings"
	"testing"
	"time"

	"holdfast"
)

// A site that is sick has to hand over in time, and is given nothing back before it was well for long enough.
func TestASickSiteIsKeptOut(t *testing.T) {
	f := Fault{Kind: "leader-starved", Target: "hangzhou:starved", At: time.Second, Healed: 10 * time.Second, seen: sighting{
		sites: []holdfast.SiteID{1}, fleet: 3, within: 4 * time.Second, keep: 15 * time.Second,
	}}
	const end = 40 * time.Second
	var samples []Sample
	for at := time.Duration(0); at < end; at += 20 * ms {
		if at < 20*time.Second || at > 20300*ms {
			samples = append(samples, Sample{Shard: 1, Kind: Probed, Ended: at, Status: holdfast.Done})
		}
	}
	for name, x := range map[string]struct {
		reigns []Reign
		want   string
	}{
		"as it should": {[]Reign{{1, 1, 1, -ms}, {1, 2, 2, 4 * time.Second}, {1, 1, 3, 26 * time.Second}}, ""},
		"too late":     {[]Reign{{1, 1, 1, -ms}, {1, 2, 2, 5500 * ms}, {1, 1, 3, 26 * time.Second}}, "led by others after 4500 ms, and not within 4s"},
		"not at all":   {[]Reign{{1, 1, 1, -ms}}, "led by others not at all"},
		"back while it was sick": {
			[]Reign{{1, 1, 1, -ms}, {1, 2, 2, 4 * time.Second}, {1, 1, 3, 6 * time.Second}, {1, 2, 4, 7 * time.Second}, {1, 1, 5, 26 * time.Second}},
			"it led again -4.0 s after it was well, sooner than 15s",
		},
		"back too soon": {[]Reign{{1, 1, 1, -ms}, {1, 2, 2, 4 * time.Second}, {1, 1, 3, 24 * time.Second}}, "it led again 14.0 s after it was well, sooner than 15s"},
	} {
		list := sicknesses([]Fault{f}, samples, x.reigns, end)
		got := strings.Join(uncured(list, []Fault{f}), "; ")
		if (got == "") != (x.want == "") || !strings.Contains(got, x.want) {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
		if x.want == "" && (list[0].After != 320*ms && list[0].After != 340*ms || list[0].Left != 3*time.Second || list[0].Away != 16*time.Second) {
			t.Errorf("%s: %+v", name, list[0])
		}
	}
	if got := sicknesses([]Fault{{Kind: "site-cut", At: time.Second, Healed: 2 * time.Second}}, nil, nil, end); len(got) != 0 {
		t.Errorf("a cut is no sickness: %+v", got)
	}
}
