package shard

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast"
)

// TestDecide has one row per thing that a starting disk can find. Site n has the identity 10n, after a wipe 10n+1.
func TestDecide(t *testing.T) {
	sites := []holdfast.SiteID{1, 2, 3}
	founders := NewMembers([]Member{{Replica: 10, Site: 1}, {Replica: 20, Site: 2}, {Replica: 30, Site: 3}})
	later := founders // 30 was replaced by 31
	later.List = []Member{{10, 1, Voter}, {20, 2, Voter}, {31, 3, Voter}}
	fresh := func(site holdfast.SiteID, id ReplicaID) Report { return Report{Site: site, Replica: id} }
	born := func(site holdfast.SiteID, id ReplicaID, m Members) Report {
		return Report{Site: site, Replica: id, Born: true, Members: m}
	}
	for _, row := range []struct {
		name   string
		self   Report
		others []Report
		want   BirthKind
		list   []ReplicaID
	}{
		{"a member starts again", born(2, 20, founders), nil, BirthResume, ids(10, 20, 30)},
		{"nobody else is there", fresh(1, 10), nil, BirthWait, nil},
		{"one site is missing", fresh(1, 10), []Report{fresh(2, 20)}, BirthWait, nil},
		{"a site has no identity yet", fresh(1, 10), []Report{fresh(2, 20), fresh(3, 0)}, BirthWait, nil},
		{"all are there, it is ours to found", fresh(1, 10), []Report{fresh(2, 20), fresh(3, 30)}, BirthFound, ids(10, 20, 30)},
		{"all are there, it is another's to found", fresh(2, 20), []Report{fresh(1, 10), fresh(3, 30)}, BirthWait, nil},
		{"it was founded with us", fresh(2, 20), []Report{born(1, 10, founders), fresh(3, 30)}, BirthAdopt, ids(10, 20, 30)},
		{"it was founded with us, the founder is away", fresh(3, 30), []Report{born(2, 20, founders)}, BirthAdopt, ids(10, 20, 30)},
		{"our disk was wiped", fresh(3, 31), []Report{born(1, 10, founders), born(2, 20, founders)}, BirthJoin, ids(10, 20, 30)},
		{"the founder's disk was wiped", fresh(1, 11), []Report{born(2, 20, founders), born(3, 30, founders)}, BirthJoin, ids(10, 20, 30)},
		{"the founder's disk was wiped, others only wait", fresh(1, 11), []Report{fresh(2, 20), born(3, 30, founders)}, BirthJoin, ids(10, 20, 30)},
		{"learning had begun when we crashed", fresh(3, 31), []Report{born(1, 10, later)}, BirthJoin, ids(10, 20, 30)},
		{"an original member that never began, after changes", fresh(2, 20), []Report{born(1, 10, later)}, BirthAdopt, ids(10, 20, 30)},
		{"our identity stands at another site", fresh(2, 30), []Report{born(1, 10, founders)}, BirthJoin, ids(10, 20, 30)},
	} {
		got := Decide(row.self, sites, row.others)
		var list []ReplicaID
		for _, m := range got.Founders.Founders {
			list = append(list, m.Replica)
		}
		if got.Kind != row.want || !slices.Equal(list, row.list) {
			t.Errorf("%s: %s with %d, want %s with %d", row.name, got.Kind, list, row.want, row.list)
		}
	}
	alone := Decide(fresh(1, 10), sites[:1], nil)
	if alone.Kind != BirthFound || len(alone.Founders.List) != 1 {
		t.Errorf("a single site: %+v, want founded at once", alone)
	}
}

func ids(list ...ReplicaID) []ReplicaID { return list }

func TestReportCodec(t *testing.T) {
	members := NewMembers([]Member{{Replica: 10, Site: 1}, {Replica: 20, Site: 2}})
	members.List = append(members.List, Member{30, 3, Learner})
	for _, want := range []Report{
		{Site: 3, Replica: 7},
		{Site: 3, Replica: 7, Born: true, Members: members},
	} {
		b := want.Append(nil)
		got, err := ParseReport(b)
		if err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("report: %v\n%s", err, cmp.Diff(want, got))
		}
		for n := range b {
			if r, err := ParseReport(b[:n]); err == nil && want.Born && r.Born && len(r.Members.Founders) == 2 {
				t.Errorf("a report cut to %d of %d bytes was read", n, len(b))
			}
		}
	}
}

// TestMembersFollowRaft plays changes and compares with what the library's own node would have.
func TestMembersFollowRaft(t *testing.T) {
	m := NewMembers([]Member{{Replica: 10, Site: 1}, {Replica: 20, Site: 2}, {Replica: 30, Site: 3}})
	steps := []struct {
		change *MemberChange // nil: the library leaves the joint configuration
		want   []Member
	}{
		{new(AddLearner(31, 3)), []Member{{10, 1, Voter}, {20, 2, Voter}, {30, 3, Voter}, {31, 3, Learner}}},
		{&MemberChange{Promote: ids(31), Remove: ids(30)}, []Member{{10, 1, Voter | OldVoter}, {20, 2, Voter | OldVoter}, {30, 3, OldVoter}, {31, 3, Voter}}},
		{nil, []Member{{10, 1, Voter}, {20, 2, Voter}, {31, 3, Voter}}},
		{&MemberChange{Demote: ids(31)}, []Member{{10, 1, Voter}, {20, 2, Voter}, {31, 3, Learner}}},
		{&MemberChange{Promote: ids(31)}, []Member{{10, 1, Voter}, {20, 2, Voter}, {31, 3, Voter}}},
		{&MemberChange{Demote: ids(10, 31)}, []Member{{10, 1, OldVoter | LearnerNext}, {20, 2, Voter | OldVoter}, {31, 3, OldVoter | LearnerNext}}},
		{nil, []Member{{10, 1, Learner}, {20, 2, Voter}, {31, 3, Learner}}},
		{&MemberChange{Promote: ids(10, 31)}, []Member{{10, 1, Voter}, {20, 2, Voter | OldVoter}, {31, 3, Voter}}},
		{nil, []Member{{10, 1, Voter}, {20, 2, Voter}, {31, 3, Voter}}},
		{&MemberChange{Remove: ids(31)}, []Member{{10, 1, Voter}, {20, 2, Voter}}},
	}
	for i, step := range steps {
		e := Entry{Index: uint64(i + 1), Type: EntryMembers}
		if step.change != nil {
			data, err := step.change.marshal()
			if err != nil {
				t.Fatal(err)
			}
			e.Data = data
		}
		next, err := m.Change(e)
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if diff := cmp.Diff(step.want, next.List); diff != "" {
			t.Fatalf("step %d: %s", i, diff)
		}
		if diff := cmp.Diff(m.Founders, next.Founders); diff != "" {
			t.Fatalf("step %d changed the founders: %s", i, diff)
		}
		read, err := ParseMembers(next.Append(nil))
		if err != nil || cmp.Diff(next, read) != "" {
			t.Fatalf("step %d: codec: %v %s", i, err, cmp.Diff(next, read))
		}
		m = next
	}
	if _, err := m.Change(Entry{Index: 9, Type: EntryMembers}); err == nil {
		t.Error("leaving a configuration that is not joint was not refused")
	}
}
