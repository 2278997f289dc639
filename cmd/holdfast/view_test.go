package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/drill"
)

// Sites that are cut off together still reach each other, and the picture says so; carriers are shown where there are several.
func TestViewShowsWhoReachesWhom(t *testing.T) {
	s := &drill.Snapshot{Scenario: "minority-side", Running: true}
	for id := range holdfast.SiteID(3) {
		s.Sites = append(s.Sites, drill.SiteView{ID: id + 1, Name: drill.SiteName(id + 1)})
	}
	s.Sites[0].Damage, s.Sites[1].Damage = drill.Parted, drill.Parted
	v := newView(&strings.Builder{})
	text := strings.Join(v.picture(s, 120), "\n")
	for _, want := range []string{"wrong side     ━━━━━ Shanghai    ╶ ✂ ╴ Shenzhen", "follows        ╶ ✂ ╴ Hangzhou    ╶ ✂ ╴ Shanghai"} {
		if !strings.Contains(text, want) {
			t.Errorf("not shown: %q\n%s", want, text)
		}
	}
	if strings.Contains(text, "carrier") {
		t.Errorf("carriers are shown of a fleet that has one:\n%s", text)
	}
	s.Carriers = []drill.CarrierView{{Damage: drill.CarrierCut}, {Rate: 412_000}}
	if text := strings.Join(v.picture(s, 120), "\n"); !strings.Contains(text, "✂  carrier 1 cut     0 kB/s     ━━ carrier 2   412 kB/s") {
		t.Errorf("the carriers are not shown:\n%s", text)
	}
}

// A fault that is over between two lines of each second is told all the same, and once.
func TestAShortFaultIsTold(t *testing.T) {
	var out strings.Builder
	v := newView(&out)
	short := drill.FaultView{Fault: drill.Fault{Kind: "site-cut", Target: "hangzhou", At: 5100 * time.Millisecond, Healed: 5600 * time.Millisecond}, Pause: 188 * time.Millisecond}
	long := drill.FaultView{Fault: drill.Fault{Kind: "site-kill", Target: "shenzhen", At: 5700 * time.Millisecond}, Pause: 155 * time.Millisecond, Spared: true, Elsewhere: 55 * time.Millisecond}
	s := &drill.Snapshot{Scenario: "demo", Running: true, Faults: []drill.FaultView{short}}
	for range 2 {
		v.tell(s)
	}
	s.Faults = append(s.Faults, long)
	for range 2 {
		v.tell(s)
	}
	s.Running, s.Faults[1].Healed = false, 9*time.Second
	v.tell(s)
	var told []string
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, " of ") {
			told = append(told, strings.TrimSpace(line))
		}
	}
	want := []string{
		"5.1 s  site-cut of Hangzhou begins", "5.6 s  site-cut of Hangzhou is over: longest wait so far 188.0 ms, 0 requests failed",
		"5.7 s  site-kill of Shenzhen begins", "9.0 s  site-kill of Shenzhen is over: longest wait so far 155.0 ms, owners led elsewhere 55.0 ms, 0 requests failed",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s", strings.Join(told, "\n"))
	}
}
