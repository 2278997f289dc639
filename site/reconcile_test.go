package site

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdfast"
)

// listOf makes a list from words such as "1 2 3- 4l": a voter, one that leaves, a learner.
func listOf(text string) *Roster {
	r := &Roster{Version: 7, Least: 3}
	for word := range strings.FieldsSeq(text) {
		s := ListedSite{Site: holdfast.SiteID(word[0] - '0'), Name: "site-" + word[:1], Addresses: []string{"10.0.0." + word[:1] + ":7001"}, Role: RoleVoter}
		switch word[1:] {
		case "-":
			s.Role = RoleLeaving
		case "l":
			s.Role = RoleLearner
		}
		r.put(s)
		if s.Role != RoleVoter {
			r.Change = &SiteChange{Kind: SiteRetire, Site: s.Site}
		}
	}
	return r
}

// shardOf makes a shard from words such as "1 2* 3? 4l 5l?": a voter, the leader, one that is not fit, a learner.
func shardOf(id holdfast.ShardID, text string) shardNow {
	s := shardNow{shard: id, known: true}
	for word := range strings.FieldsSeq(text) {
		site := holdfast.SiteID(word[0] - '0')
		s.members = append(s.members, memberNow{site: site, votes: !strings.Contains(word, "l"), fit: !strings.Contains(word, "?"), lag: 5})
		if strings.Contains(word, "*") {
			s.leader = site
		}
	}
	return s
}

func (m move) String() string {
	kind := [...]string{"none", "wait", "admit", "promote", "hand-over", "demote", "remove", "finish"}[m.kind]
	switch m.kind {
	case moveWait:
		return "wait: " + m.why
	case moveNone, moveFinish:
		return kind
	}
	text := fmt.Sprintf("%s %d in %d", kind, m.site, m.shard)
	if m.instead != 0 {
		text += fmt.Sprintf(" for %d", m.instead)
	}
	return text
}

// TestNextStep has a row for every answer of the step function.
func TestNextStep(t *testing.T) {
	for _, row := range []struct {
		list   string
		shards string // with "|" between them
		want   string
	}{
		{"1 2 3", "1* 2 3", "finish"},
		{"1 2 3 4", "1* 2 3", "admit 4 in 1"},
		{"1 2 3 4", "1* 2 3 | 1* 2 3", "admit 4 in 2"}, // the first shard last
		{"1 2 3 4", "1* 2 3 | 1* 2 3 4l?", "wait: shard 2: site 4 copies what it does not have: 5 entries to go"},
		{"1 2 3 4", "1* 2 3 | 1* 2 3 4l", "promote 4 in 2"},
		{"1 2 3 4", "1* 2 3 | 1* 2 3 4", "admit 4 in 1"}, // one shard after the other
		{"1 2 3 4", "1* 2 3 4", "finish"},
		{"1 2 3 4l", "1* 2 3", "admit 4 in 1"},
		{"1 2 3 4l", "1* 2 3 4l", "finish"},
		{"1 2 3 4l", "1* 2 3 | 1* 2 3 4l?", "wait: shard 2: site 4 copies what it does not have: 5 entries to go"},
		{"1 2 3 4l", "1* 2 3 | 1* 2 3 4l", "admit 4 in 1"},
		{"1 2 3 4l 5-", "1* 2 3 4l? 5", "remove 5 in 1"}, // a learner that was there before is not waited for
		{"1 2 3 4l 5-", "1* 2 3 4l?", "finish"},
		{"1 2 3- 4", "1* 2 3", "admit 4 in 1"},
		{"1 2 3- 4", "1* 2 3? 4l", "promote 4 in 1 for 3"},
		{"1 2 3- 4", "1 2 3* 4l", "hand-over 1 in 1"},
		{"1 2 3- 4", "1? 2 3* 4l", "hand-over 2 in 1"},
		{"1 2 3- 4", "1? 2? 3* 4l", "wait: shard 1: site 3 leads it, and no other voter could"},
		{"1 2 3- 4", "1* 2 4", "finish"},
		{"1 2 3 4-", "1* 2 3 4", "remove 4 in 1"},
		{"1 2 3 4-", "1 2 3 4*", "hand-over 1 in 1"},
		{"1 2 3 4-", "1* 2 3 4l?", "remove 4 in 1"}, // an addition that is given up
		{"1 2 3 4-", "1* 2 3 9 4", "remove 9 in 1"}, // whom the list does not name
		{"1 2 3 4", "1* 2 3? 3l? 4l", "promote 4 in 1"},
		{"1 2 3 4l", "1* 2 3 4", "demote 4 in 1"},
		{"1 2 3 4l", "1* 2 3 | 1* 2 3 4", "demote 4 in 2"},
		{"1 2 3 4l", "1* 2 3 4?", "demote 4 in 1"}, // it may be dead
		{"1 2 3 4l", "1? 2 3 4*", "hand-over 2 in 1"},
		{"1 2 3 4l", "1? 2? 3? 4*", "wait: shard 1: site 4 leads it, and no other voter could"},
	} {
		r := listOf(row.list)
		if r.Change == nil {
			r.Change = &SiteChange{Kind: SiteAdd}
		}
		var shards []shardNow
		for i, text := range strings.Split(row.shards, "|") {
			shards = append(shards, shardOf(holdfast.ShardID(i+1), text))
		}
		if got := r.next(shards, nil).String(); got != row.want {
			t.Errorf("list %q, shards %q: %s, want %s", row.list, row.shards, got, row.want)
		}
	}
}

func TestNothingIsDoneInTheDark(t *testing.T) {
	r := listOf("1 2 3 4-")
	shards := []shardNow{shardOf(1, "1* 2 3 4")}
	for _, row := range []struct {
		sites []siteNow
		want  string
	}{
		{[]siteNow{{site: 2, answers: true, roster: 6}}, "wait: site 2 does not know version 7 of the list of sites yet"},
		{[]siteNow{{site: 2, answers: true, roster: 7, trouble: "is old"}}, "wait: site 2 is old"},
		{[]siteNow{{site: 2}, {site: 4, answers: true}}, "remove 4 in 1"}, // who is silent, or leaves, is not waited for
	} {
		if got := r.next(shards, row.sites).String(); got != row.want {
			t.Errorf("%+v: %s, want %s", row.sites, got, row.want)
		}
	}
	shards[0].joint = true
	if got := r.next(shards, nil).String(); got != "wait: shard 1: a change of its members is under way" {
		t.Error(got)
	}
	if got := r.next([]shardNow{{shard: 1}}, nil).String(); got != "wait: shard 1: its leader does not answer" {
		t.Error(got)
	}
	r.Change = nil
	if got := r.next(shards, nil).String(); got != "none" {
		t.Errorf("without a change: %s", got)
	}
}

// TestEveryChangeComesToItsEnd plays changes from every state that a crash of the driver can leave behind, which is every state
// there is on the way, each with every leader; never are there fewer voters than before and after, nor a step twice.
func TestEveryChangeComesToItsEnd(t *testing.T) {
	for _, row := range []struct{ list, from, to string }{
		{"1 2 3 4", "1* 2 3", "[1 2 3 4]"},
		{"1 2 3 4 5", "1* 2 3", "[1 2 3 4 5]"},
		{"1 2 3- 4", "1* 2 3", "[1 2 4]"},
		{"1 2- 3- 4 5", "1* 2 3", "[1 4 5]"},
		{"1 2 3 4-", "1* 2 3 4", "[1 2 3]"},
		{"1 2 3 4l", "1* 2 3", "[1 2 3]"},
		{"1 2 3 4", "1* 2 3 4l", "[1 2 3 4]"},
		{"1 2 3 4l", "1* 2 3 4", "[1 2 3]"},
		{"1l 2 3 4", "1* 2 3 4", "[2 3 4]"},
	} {
		r := listOf(row.list)
		r.Change = &SiteChange{Kind: SiteAdd}
		for leader := range 5 {
			shards := []shardNow{shardOf(1, row.from), shardOf(2, row.from), shardOf(3, row.from)}
			least := min(len(shards[0].voters()), len(strings.Fields(row.to)))
			for i := range shards {
				if m := shards[i].at(holdfast.SiteID(leader + 1)); m != nil && m.votes {
					shards[i].leader = m.site
				}
			}
			seen := map[string]bool{}
			for {
				m := r.next(cloneShards(shards), nil) // nothing is remembered from step to step
				if m.kind == moveFinish {
					break
				}
				key := fmt.Sprint(m, shards)
				if m.kind == moveWait || seen[key] {
					t.Fatalf("list %q from %q: stands at %v", row.list, row.from, m)
				}
				seen[key] = true
				m.play(&shards[m.shard-1])
				for i := range shards {
					if n := len(shards[i].voters()); n < least {
						t.Fatalf("list %q from %q: after %v shard %d has %d voters", row.list, row.from, m, i+1, n)
					}
				}
			}
			for i := range shards {
				if got := fmt.Sprint(shards[i].voters()); got != row.to {
					t.Errorf("list %q from %q: shard %d ends with %s, want %s", row.list, row.from, i+1, got, row.to)
				}
			}
		}
	}
}

func TestHomesAreSpread(t *testing.T) {
	for _, row := range []struct{ list, homes, leave, spread string }{
		{"1 2 3", "1 2 3", "[1 2 3]", "[1 2 3]"},
		{"1 2 3 4", "1 2 3", "[1 2 3]", "[1 2 3]"}, // nobody has two more than another
		{"1 2 3 4", "1 2 3 1 2 3 1 2", "[1 2 3 1 2 3 1 2]", "[1 2 3 1 2 3 4 4]"},
		{"1 2 3-", "1 2 3 3", "[1 2 1 2]", "[1 2 1 2]"},
		{"1 2 3- 4", "1 2 3", "[1 2 4]", "[1 2 4]"},
		{"1 2 3 4l", "1 2 3 1 1", "[1 2 3 1 1]", "[1 2 3 1 2]"}, // a learner leads nothing
	} {
		r := listOf(row.list)
		var homes []holdfast.SiteID
		for word := range strings.FieldsSeq(row.homes) {
			homes = append(homes, holdfast.SiteID(word[0]-'0'))
		}
		if got := fmt.Sprint(r.leave(homes)); got != row.leave {
			t.Errorf("list %q, homes %s: while it lasts %s, want %s", row.list, row.homes, got, row.leave)
		}
		if got := fmt.Sprint(r.finished().spread(homes)); got != row.spread {
			t.Errorf("list %q, homes %s: in the end %s, want %s", row.list, row.homes, got, row.spread)
		}
	}
}

func TestTheListIsWrittenAndRead(t *testing.T) {
	r := listOf("1 2 3- 4l")
	again, err := readRoster(r.encode(), 7)
	if err != nil || fmt.Sprint(again.Sites, *again.Change, again.Least) != fmt.Sprint(r.Sites, *r.Change, r.Least) || again.Version != 7 {
		t.Errorf("%+v was read as %+v, %v", r, again, err)
	}
	for _, text := range []string{
		`{"format":2}`, `{"format":1,"new":1}`, `{`, `{"format":1,"sites":[{"site":2},{"site":1}]}`, `{"format":1,"sites":[{"site":0}]}`,
	} {
		if _, err := readRoster([]byte(text), 1); err == nil {
			t.Errorf("%s was read", text)
		}
	}
	if got := fmt.Sprint(r.finished().with(RoleVoter), r.finished().with(RoleLeaving), r.finished().Change); got != "[1 2] [] <nil>" {
		t.Errorf("finished: %s", got)
	}
	if r.finished().role(3) != RoleLeaving || r.find(3) == nil {
		t.Error("who is finished is gone, and the list it was made from is as it was")
	}
}

// factsOf makes what a plan is made from: sites on one carrier, all of which reach each other, but those in dead.
func factsOf(list string, shards []shardNow, dead ...holdfast.SiteID) *planFacts {
	r := listOf(list)
	r.Change = nil
	f := &planFacts{
		roster: r, shards: shards, homes: []holdfast.SiteID{1, 2, 3}[:len(shards)], mapped: 3, reached: map[holdfast.SiteID][]string{},
		picture: &picture{carriers: 1}, bytes: 3000,
	}
	for _, s := range r.Sites {
		up := !slices.Contains(dead, s.Site)
		f.sites = append(f.sites, siteNow{site: s.Site, answers: up, roster: 7, turns: true})
		facts := siteFacts{site: s.Site, name: s.Name, works: up, fit: up, rate: 100, peak: 150, reaches: map[holdfast.SiteID][]string{}}
		for _, other := range r.Sites {
			if up && !slices.Contains(dead, other.Site) {
				facts.reaches[other.Site] = []string{"up"}
			}
		}
		f.picture.sites = append(f.picture.sites, facts)
		if up {
			f.reached[s.Site] = []string{""}
		}
	}
	for i := range shards {
		f.picture.shards = append(f.picture.shards, shardFacts{shard: shards[i].shard, rate: 100})
	}
	return f
}

func TestAPlanTellsTheTruth(t *testing.T) {
	three := func() []shardNow { return []shardNow{shardOf(1, "1* 2 3"), shardOf(2, "1 2* 3")} }
	add := SiteRequest{Kind: SiteAdd, Site: 4, Name: "beijing", City: "north", Addresses: []string{"10.0.0.9:7001"}}
	f := factsOf("1 2 3", three())
	p, target, err := f.plan(add)
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, s := range p.Steps {
		steps = append(steps, fmt.Sprintf("%d: %s: %v of %v, %d to copy, stops %v", s.Shard, s.Text, s.After.Majority, s.After.Voters, s.Copy, s.After.Stops))
	}
	want := `2: beijing copies the shard, without a vote: 2 of [1 2 3], 1500 to copy, stops []
2: beijing gets a vote: 2 of [1 2 3], 0 to copy, stops []
1: beijing copies the shard, without a vote: 2 of [1 2 3], 1500 to copy, stops []
1: beijing gets a vote: 3 of [1 2 3 4], 0 to copy, stops []`
	if got := strings.Join(steps, "\n"); got != want {
		t.Errorf("steps:\n%s\nwant:\n%s", got, want)
	}
	if fmt.Sprint(p.Before.Survives, p.After.Survives) != "[site-1 site-2 site-3] [site-1 site-2 site-3 beijing]" || p.Copy != 3000 {
		t.Errorf("before %+v, after %+v, %d to copy", p.Before, p.After, p.Copy)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "4 voters stand the loss of 1, as 3 do") {
		t.Errorf("notes %q", p.Notes)
	}
	if len(p.Loads) != 4 || p.Loads[3].Copies != 200 || p.Loads[3].After != 0 || p.Loads[0].After != 100 {
		t.Errorf("loads %+v", p.Loads)
	}
	if target.find(4) == nil || target.Change.Plan != p.ID || target.Version != 7 {
		t.Errorf("the list to be written: %+v", target)
	}

	// A learner changes no majority.
	learn := add
	learn.Learner = true
	f = factsOf("1 2 3", three())
	p, target, err = f.plan(learn)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Steps) != 2 || fmt.Sprint(p.After.Voters, p.After.Majority, p.After.Stops) != "[1 2 3] 2 []" || target.role(4) != RoleLearner {
		t.Errorf("the plan for a learner: %+v", p)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "beijing has no vote") {
		t.Errorf("notes %q", p.Notes)
	}

	// The learner gets its vote: shard by shard, nothing is copied, and the majority grows with it.
	four := []shardNow{shardOf(1, "1* 2 3 4l"), shardOf(2, "1 2* 3 4l")}
	f = factsOf("1 2 3 4l", four)
	p, target, err = f.plan(SiteRequest{Kind: SitePromote, Site: 4})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%d %s %d %v %d %d %s", p.Before.Majority, p.Steps[0].Text, p.Steps[1].Shard, p.After.Voters, p.After.Majority, p.Copy, target.role(4)); got != "2 site-4 gets a vote 1 [1 2 3 4] 3 0 voter" || len(p.Steps) != 2 {
		t.Errorf("promoting a learner: %s\n%+v", got, p)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "4 voters stand the loss of 1, as 3 do") {
		t.Errorf("notes %q", p.Notes)
	}

	// And loses it again: who leads hands over first.
	four = []shardNow{shardOf(1, "1 2 3 4*"), shardOf(2, "1 2* 3 4")}
	f = factsOf("1 2 3 4", four)
	p, target, err = f.plan(SiteRequest{Kind: SiteDemote, Site: 4})
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, s := range p.Steps {
		words = append(words, fmt.Sprintf("%d: %s", s.Shard, s.Text))
	}
	if got := strings.Join(words, "; "); got != "2: site-4 loses its vote, and keeps its copy; 1: site-1 takes the lead over; 1: site-4 loses its vote, and keeps its copy" ||
		fmt.Sprint(p.After.Voters, p.After.Majority) != "[1 2 3] 2" || target.role(4) != RoleLearner {
		t.Errorf("demoting a voter: %s\n%+v", got, p)
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "site-4 has no vote") {
		t.Errorf("notes %q", p.Notes)
	}

	// One of three is dead already: the loss of another would stop payments now, during and not after.
	f = factsOf("1 2 3", []shardNow{shardOf(1, "1* 2 3?")}, 3)
	replace := add
	replace.Kind, replace.Old = SiteReplace, 3
	p, _, err = f.plan(replace)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.Before.Stops, p.Steps[1].During.Outgoing, p.Steps[1].During.Stops, p.After.Stops, p.After.Voters); got != "[site-1 site-2] [1 2 3] [site-1 site-2] [] [1 2 4]" {
		t.Errorf("replacing a dead site: %s\n%+v", got, p)
	}

	// Two of five are dead: the first of them is replaced, and the plan says what holds until the second is.
	f = factsOf("1 2 3 4 5", []shardNow{shardOf(1, "1* 2 3 4? 5?")}, 4, 5)
	replace.Site, replace.Old = 6, 5
	p, _, err = f.plan(replace)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.Before.Stops, p.Steps[1].During.Outgoing, p.Steps[1].During.Stops, p.After.Stops, p.After.Voters, p.After.Majority); got != "[site-1 site-2 site-3] [1 2 3 4 5] [site-1 site-2 site-3] [] [1 2 3 4 6] 3" {
		t.Errorf("replacing the first of two dead sites: %s\n%+v", got, p)
	}
	for _, s := range p.Steps {
		if len(s.During.Voters) < 5 || len(s.After.Voters) < 5 {
			t.Errorf("%q leaves fewer voters than there were: %+v", s.Text, s)
		}
	}
	if len(p.Notes) != 1 || !strings.Contains(p.Notes[0], "site-4 does not answer either") {
		t.Errorf("notes %q", p.Notes)
	}
}

// TestPlansAreBoundToVersions: another list, another map, another request: another id.
func TestPlansAreBoundToVersions(t *testing.T) {
	q := SiteRequest{Kind: SiteRetire, Site: 4}
	ids := map[string]bool{planID(q, 7, 3): true, planID(q, 8, 3): true, planID(q, 7, 4): true, planID(SiteRequest{Kind: SiteRetire, Site: 3}, 7, 3): true}
	if len(ids) != 4 {
		t.Errorf("ids %v", ids)
	}
	if again := planID(q, 7, 3); !ids[again] {
		t.Errorf("the same plan has another id: %s", again)
	}
}

func TestPlansThatWouldStopAShard(t *testing.T) {
	retire := func(n holdfast.SiteID) SiteRequest { return SiteRequest{Kind: SiteRetire, Site: n} }
	promote := func(n holdfast.SiteID) SiteRequest { return SiteRequest{Kind: SitePromote, Site: n} }
	demote := func(n holdfast.SiteID) SiteRequest { return SiteRequest{Kind: SiteDemote, Site: n} }
	replace := func(n holdfast.SiteID) SiteRequest {
		return SiteRequest{Kind: SiteReplace, Site: 6, Old: n, Name: "new", Addresses: []string{"10.0.0.9:7001"}}
	}
	underWay := func(kind string, site holdfast.SiteID) func(*planFacts) {
		return func(f *planFacts) { f.roster.Change = &SiteChange{Kind: kind, Site: site} }
	}
	add := SiteRequest{Kind: SiteAdd, Site: 6, Name: "new", Addresses: []string{"10.0.0.9:7001"}}
	for _, row := range []struct {
		list, shard string
		dead        []holdfast.SiteID
		edit        func(*planFacts)
		q           SiteRequest
		want        string // "": it is not refused
	}{
		{"1 2 3 4", "1* 2 3 4", nil, nil, retire(4), ""},
		{"1 2 3 4", "1* 2 3 4?", []holdfast.SiteID{4}, nil, retire(4), ""},
		{"1 2 3", "1* 2 3", nil, nil, retire(3), "2 voters would be left, and this fleet keeps 3"},
		{"1 2 3 4 5", "1* 2 3 4? 5?", []holdfast.SiteID{4, 5}, nil, retire(3), "site-4 does not answer"},
		{"1 2 3 4 5", "1* 2 3 4? 5?", nil, nil, retire(3), "shard 1 would have 4 voters, and only 2 of them are at work: it would stop"},
		{"1 2 3", "1* 2 3?", nil, nil, add, "only 2 of the 3 voters that stay are at work"},
		{"1 2 3 4 5", "1* 2 3 4? 5?", []holdfast.SiteID{4, 5}, nil, replace(5), ""}, // two are dead for good: one after the other
		{"1 2 3 4 6", "1* 2 3 4? 6", []holdfast.SiteID{4}, nil, func() SiteRequest { q := replace(4); q.Site = 7; return q }(), ""},
		{"1 2 3 4 5", "1* 2 3? 4? 5?", []holdfast.SiteID{4, 5}, nil, replace(5), "shard 1: only 2 of its 5 voters are at work"},
		{"1 2 3 4 5", "1* 2 3 4? 5?", []holdfast.SiteID{4, 5}, nil, replace(3), "site-4 does not answer"}, // first those that are dead
		{"1 2 3 4 5", "1* 2 3 4? 5?", []holdfast.SiteID{5}, nil, replace(5), "only 3 of the 4 voters that stay are at work: wait until all are"},
		{"1 2 3 4 5", "1* 2 3 4? 5?", []holdfast.SiteID{4, 5}, nil, add, "site-4 does not answer"},
		{"1 2 3 4 5", "1* 2 3 4? 5?", []holdfast.SiteID{4, 5}, nil, retire(5), "site-4 does not answer"},
		{"1 2 3", "1* 2 3", nil, func(f *planFacts) { f.shards[0].known = false }, add, "shard 1 has no leader that answers"},
		{"1 2 3", "1* 2 3", nil, func(f *planFacts) { f.sites[1].trouble = "does not know how" }, add, "site-2 does not know how"},
		{"1 2 3", "1* 2 3", nil, func(f *planFacts) { f.reached[2] = []string{"no way"} }, add, "site-2 does not reach site 6: no way"},
		{"1 2 3", "1* 2 3", nil, func(f *planFacts) { f.roster.Change = &SiteChange{Kind: SiteAdd, Site: 5} }, add, "a change is under way already: add site 5"},
		{"1 2 3 5", "1* 2 3", nil, func(f *planFacts) { f.roster.Change = &SiteChange{Kind: SiteAdd, Site: 5} }, retire(5), ""}, // it is given up
		{"1 2 3 4l", "1* 2 3 4l?", []holdfast.SiteID{4}, nil, add, ""},                                                          // nothing waits for a learner, a change of sites neither
		{"1 2 3 4l", "1* 2 3? 4l?", []holdfast.SiteID{3, 4}, nil, func() SiteRequest { q := add; q.Kind, q.Old = SiteReplace, 3; return q }(), ""},
		{"1 2 3 4l", "1* 2 3 4l?", []holdfast.SiteID{4}, nil, retire(4), ""},
		{"1 2 3 4l", "1* 2 3 4l", nil, nil, promote(4), ""},
		{"1 2 3 4l", "1* 2 3 4l?", nil, nil, promote(4), "shard 1: site-4 has not caught up: 5 entries to go"},
		{"1 2 3 4l", "1* 2 3", nil, nil, promote(4), "shard 1: site-4 has no copy of it yet"},
		{"1 2 3 4l", "1* 2 3 4l?", []holdfast.SiteID{4}, nil, promote(4), "site-4 does not answer"},
		{"1 2 3 4l", "1* 2 3? 4l", []holdfast.SiteID{3}, nil, promote(4), "site-3 does not answer"},
		{"1 2 3 4l", "1* 2 3? 4l", nil, nil, promote(4), "only 2 of the 3 voters that stay are at work"},
		{"1 2 3 4l", "1* 2 3 4l", nil, nil, promote(3), "site-3 is a voter already"},
		{"1 2 3 4l", "1* 2 3 4l", nil, nil, promote(5), "site 5 is not on the list"},
		{"1 2 3 4l", "1* 2 3 4l", nil, func(f *planFacts) { f.sites[1].turns = false }, promote(4), "site-2 does not know how sites get and lose their votes"},
		{"1 2 3 4l", "1* 2 3 4l", nil, underWay(SitePromote, 4), promote(4), "a change is under way already: promote site 4"},
		{"1 2 3 4", "1* 2 3 4l?", []holdfast.SiteID{4}, underWay(SitePromote, 4), demote(4), ""}, // it is given up
		{"1 2 3 4", "1* 2 3 4l?", []holdfast.SiteID{4}, underWay(SitePromote, 4), retire(4), ""},
		{"1 2 3 4", "1* 2 3 4", nil, nil, demote(4), ""},
		{"1 2 3 4", "1* 2 3 4?", []holdfast.SiteID{4}, nil, demote(4), ""},
		{"1 2 3 4", "1 2 3 4*", nil, nil, demote(4), ""},
		{"1 2 3", "1* 2 3", nil, nil, demote(3), "2 voters would be left, and this fleet keeps 3: add a site first, or replace site 3"},
		{"1 2 3 4 5", "1* 2 3? 4? 5", nil, nil, demote(5), "shard 1 would have 4 voters, and only 2 of them are at work: it would stop"},
		{"1 2 3 4l", "1* 2 3 4l", nil, nil, demote(4), "site-4 is a learner already"},
		{"1 2 3", "1* 2 3", nil, nil, func() SiteRequest { q := add; q.Site = 10; return q }(), "site 10 is not within 1-9"},
	} {
		f := factsOf(row.list, []shardNow{shardOf(1, row.shard)}, row.dead...)
		if row.edit != nil {
			row.edit(f)
		}
		_, _, err := f.plan(row.q)
		if got := fmt.Sprint(err); row.want == "" && err != nil || row.want != "" && !strings.Contains(got, row.want) {
			t.Errorf("list %q, shard %q, %s %d: %s, want %q", row.list, row.shard, row.q.Kind, row.q.Site, got, row.want)
		}
	}
}
