package main

import (
	"strings"
	"testing"

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
