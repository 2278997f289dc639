package shard

import (
	"reflect"
	"strings"
	"testing"

	"holdfast"
)

// voters is the configuration in which the sites 1 to n vote, each with the identity of ten times its number.
func voters(n int) Members {
	var list []Member
	for i := range n {
		list = append(list, Member{Replica: ReplicaID(10 * (i + 1)), Site: holdfast.SiteID(i + 1)})
	}
	return NewMembers(list)
}

// well is a follower that has everything up to an entry, in term 5.
func well(site holdfast.SiteID, at uint64) Standing {
	return Standing{Site: site, Replica: ReplicaID(10 * site), Service: Serving, Term: 5, Last: at, Applied: at, Known: at, Change: 3}
}

func leads(s Standing, m Members) Standing {
	s.Leads, s.Members = true, m
	return s
}

func with(s Standing, change func(*Standing)) Standing {
	change(&s)
	return s
}

// TestMayForget asks on behalf of site 1.
func TestMayForget(t *testing.T) {
	three, five, two := voters(3), voters(5), voters(2)
	joint := Members{List: append([]Member(nil), three.List...)}
	for i := range joint.List {
		joint.List[i].Role |= OldVoter
	}
	joint.List[2].Role = OldVoter // site 3 is being replaced
	joint.List = append(joint.List, Member{Replica: 31, Site: 3, Role: Voter})
	lead := leads(well(2, 90), three)
	for _, row := range []struct {
		name    string
		mark    uint64
		answers []Standing
		want    uint64 // mark
		waits   string // part of it; "": it may
	}{
		{"nobody answers", 0, nil, 0, "no site answers that it leads"},
		{"nobody leads", 0, []Standing{well(2, 90), well(3, 90)}, 0, "no site answers that it leads"},
		{"nobody can lead", 0, []Standing{with(well(2, 90), func(s *Standing) { s.Members = three })}, 0, "site 3 does not answer"},
		{"both others have everything", 0, []Standing{lead, well(3, 90)}, 90, ""},
		{"and still, with a mark from before", 80, []Standing{lead, well(3, 80)}, 80, ""},
		{"a follower is behind: the last copy may be here", 0, []Standing{lead, well(3, 89)}, 90, "site 3 has not applied entry 90"},
		{"the leader itself has not applied its end yet", 0, []Standing{with(lead, func(s *Standing) { s.Last = 95 }), well(3, 90)}, 95, "site 2, which leads, has not applied entry 95"},
		{"one of three is dead", 0, []Standing{lead}, 0, "1 of the 2 other voters that are needed are in service: site 3 does not answer"},
		{"the mark is kept while one is dead", 80, []Standing{lead}, 80, "site 3 does not answer"},
		{"one of three is corrupt too", 0, []Standing{lead, {Site: 3, Replica: 30, Service: Condemned}}, 0, "site 3 is corrupt itself"},
		{"one of three waits for its birth", 0, []Standing{lead, {Site: 3, Replica: 30}}, 0, "site 3 is not in service"},
		{"one of three has a new disk", 0, []Standing{lead, with(well(3, 90), func(s *Standing) { s.Replica = 31 })}, 0, "site 3 has another disk"},
		{"an election is under way", 0, []Standing{lead, with(well(3, 90), func(s *Standing) { s.Term = 6 })}, 0, "no site answers that it leads"},
		{
			"the old leader still believes to lead", 0,
			[]Standing{lead, leads(with(well(3, 95), func(s *Standing) { s.Term = 6 }), three)},
			95, "has not applied entry 95",
		},
		{"a crash would bring old members back", 0, []Standing{lead, with(well(3, 90), func(s *Standing) { s.Known = 2 })}, 90, "would not know the members"},
		{"our own voice does not count", 0, []Standing{lead, well(1, 90)}, 0, "site 3 does not answer"},
		{"three of five", 0, []Standing{leads(well(2, 90), five), well(3, 90), well(4, 90)}, 90, ""},
		{"two of five", 0, []Standing{leads(well(2, 90), five), well(3, 90)}, 0, "2 of the 3 other voters"},
		{
			"two of five are corrupt: the lower site goes first", 0,
			[]Standing{leads(well(2, 90), five), well(3, 90), well(4, 90), {Site: 5, Replica: 50, Service: Condemned}},
			90, "",
		},
		{
			"a disk of five is being replaced", 0,
			[]Standing{leads(well(2, 90), five), well(3, 90), well(4, 90), {Site: 5, Replica: 51}},
			90, "site 5 has lost its disk as well",
		},
		{"of two sites none: the other could elect nobody", 0, []Standing{leads(well(2, 90), two)}, 0, "1 of the 2"},
		{"both halves of a joint change", 0, []Standing{leads(well(2, 90), joint), with(well(3, 90), func(s *Standing) { s.Replica = 31 })}, 0, "site 3 has another disk"},
	} {
		got := MayForget(1, row.mark, row.answers)
		if got.Mark != row.want || got.Wipe != (row.waits == "") || !strings.Contains(got.Waits, row.waits) {
			t.Errorf("%s: %+v; want mark %d, waits %q", row.name, got, row.want, row.waits)
		}
	}
	higher := []Standing{leads(well(2, 90), five), well(3, 90), well(4, 90), {Site: 1, Replica: 10, Service: Condemned}}
	if got := MayForget(5, 0, higher); got.Wipe || !strings.Contains(got.Waits, "site 1") {
		t.Errorf("site 5 beside the corrupt site 1: %+v, want it to wait for site 1", got)
	}
}

func TestStandingsTravel(t *testing.T) {
	want := leads(well(2, 90), voters(3))
	got, err := ParseStanding(want.Append(nil))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for n := range standingHead {
		if _, err := ParseStanding(want.Append(nil)[:n]); err == nil {
			t.Errorf("%d bytes of a standing were read", n)
		}
	}
}

// TestCorruptReplicasForgetInTurn: no two of five corrupt replicas that see the same may both forget, and none when three are corrupt.
func TestCorruptReplicasForgetInTurn(t *testing.T) {
	for mask := range 1 << 5 {
		sick := 0
		var answers []Standing
		for i := range 5 {
			site := holdfast.SiteID(i + 1)
			s := well(site, 90)
			if mask&(1<<i) != 0 {
				sick++
				s = Standing{Site: site, Replica: s.Replica, Service: Condemned}
			} else {
				s.Members = voters(5)
				s.Leads = len(answers) == sick // the first that is well
			}
			answers = append(answers, s)
		}
		wiped := 0
		for i := range 5 {
			if mask&(1<<i) != 0 && MayForget(holdfast.SiteID(i+1), 0, answers).Wipe {
				wiped++
			}
		}
		if want := min(sick, 1); sick <= 2 && wiped != want || sick > 2 && wiped != 0 {
			t.Errorf("%05b are corrupt, and %d of them forget", mask, wiped)
		}
	}
}
