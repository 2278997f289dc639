package shard

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"holdfast"
	"holdfast/store"
)

var rewrite = flag.Bool("rewrite", false, "write what the interaction tests do now into their files")

// TestInteraction plays the files in testdata/node: commands, "----", and what they did. Nothing happens by itself: a node's
// output waits until "output", its writes until "store", its messages until "deliver", its commits until "apply". Elections come
// by "campaign", because election time-outs are random.
func TestInteraction(t *testing.T) {
	reader := rand.Reader // where the library draws election time-outs from: 19 ticks, all of them
	rand.Reader = nines{}
	defer func() { rand.Reader = reader }()
	files, err := filepath.Glob("testdata/node/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no interaction files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			after := newStage(t).play(string(before))
			if *rewrite {
				if err := os.WriteFile(file, []byte(after), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if after != string(before) {
				t.Errorf("%s plays differently now (go test ./shard -run Interaction -rewrite shows it as a diff):\n%s", file, after)
			}
		})
	}
}

type nines struct{}

func (nines) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 9
	}
	return len(b), nil
}

// stage is up to nine nodes; node n is replica n at site n, unless it was replaced.
type stage struct {
	t     *testing.T
	log   strings.Builder
	nodes map[ReplicaID]*actor
	net   []Message
	cut   map[ReplicaID]bool
}

type actor struct {
	id      ReplicaID
	site    holdfast.SiteID
	node    *Node
	disk    *memoryLog
	from    Checkpoint
	writes  []Write
	commits []Entry
}

// memoryLog is a log without I/O. What is written is durable at once: a crash loses what was not written.
type memoryLog struct {
	hard    HardState
	entries []Entry // entries[0] is a dummy for index 0
	window  uint64  // FirstIndex; 0: 1
}

func (l *memoryLog) Hard() HardState    { return l.hard }
func (l *memoryLog) FirstIndex() uint64 { return max(l.window, 1) }
func (l *memoryLog) LastIndex() uint64  { return uint64(len(l.entries) - 1) }

func (l *memoryLog) Term(i uint64) (uint64, error) {
	switch {
	case i+1 < l.FirstIndex():
		return 0, store.ErrCompacted
	case i > l.LastIndex():
		return 0, store.ErrUnavailable
	}
	return l.entries[i].Term, nil
}

func (l *memoryLog) Entries(lo, hi, maxBytes uint64) ([]Entry, error) {
	switch {
	case lo < l.FirstIndex():
		return nil, store.ErrCompacted
	case hi > l.LastIndex()+1:
		return nil, store.ErrUnavailable
	}
	size := uint64(0)
	for i := lo; i < hi; i++ {
		if size += uint64(len(l.entries[i].Data)); size > maxBytes && i > lo {
			return slices.Clone(l.entries[lo:i]), nil
		}
	}
	return slices.Clone(l.entries[lo:hi]), nil
}

func (l *memoryLog) write(w Write) {
	if w.Hard != nil {
		l.hard = *w.Hard
	}
	if len(w.Entries) > 0 {
		l.entries = append(l.entries[:w.Entries[0].Index:w.Entries[0].Index], w.Entries...)
	}
}

func newStage(t *testing.T) *stage {
	return &stage{t: t, nodes: map[ReplicaID]*actor{}, cut: map[ReplicaID]bool{}}
}

// play runs the blocks of a file and returns the file as it should read.
func (s *stage) play(text string) string {
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimRight(text, "\n"), "\n\n") {
		if i > 0 {
			out.WriteString("\n\n")
		}
		input, _, _ := strings.Cut(block, "\n----")
		s.log.Reset()
		silent := true
		for line := range strings.SplitSeq(input, "\n") {
			if !strings.HasPrefix(line, "#") {
				silent = false
				s.command(strings.Fields(line))
			}
		}
		out.WriteString(input)
		if !silent {
			out.WriteString("\n----\n" + strings.TrimRight(orElse(s.log.String(), "ok\n"), "\n"))
		}
	}
	return out.String() + "\n"
}

func (s *stage) print(format string, args ...any) { fmt.Fprintf(&s.log, format+"\n", args...) }

func (s *stage) command(f []string) {
	if len(f) == 0 {
		return
	}
	var n *actor
	if len(f) > 1 {
		n = s.nodes[ReplicaID(number(f[1]))]
	}
	switch f[0] {
	case "voters":
		s.voters(f[1:])
	case "start": // start <replica> <site>: an empty disk that knows the founders
		s.boot(ReplicaID(number(f[1])), &memoryLog{entries: make([]Entry, 1)}, s.nodes[1].from)
		s.nodes[ReplicaID(number(f[1]))].site = holdfast.SiteID(number(f[2]))
	case "burn": // burn <replica>: its disk is gone
		delete(s.nodes, n.id)
	case "run": // run <replica> <ticks>: each with all that follows
		for range number(f[2]) {
			s.check(n.node.Tick())
			s.settle()
		}
	case "campaign":
		s.check(n.node.Campaign())
	case "propose":
		s.check(n.node.Propose([]byte(f[2])))
	case "ask": // ask <replica> <data> <site>: what was forwarded by a site, which waits for it
		s.check(n.node.Propose([]byte(f[2])))
		n.node.mentions = append(n.node.mentions, mention{Origin: Origin{Site: holdfast.SiteID(number(f[3])), Ticket: 1}})
	case "read":
		s.check(n.node.ReadIndex(number(f[2])))
	case "transfer":
		s.check(n.node.TransferTo(ReplicaID(number(f[2]))))
	case "learn":
		s.check(n.node.ProposeMembers(AddLearner(ReplicaID(number(f[2])), holdfast.SiteID(number(f[2])))))
	case "replace": // replace <leader> <old> <new>
		s.check(n.node.ProposeMembers(MemberChange{Promote: []ReplicaID{ReplicaID(number(f[3]))}, Remove: []ReplicaID{ReplicaID(number(f[2]))}}))
	case "remove":
		s.check(n.node.ProposeMembers(MemberChange{Remove: []ReplicaID{ReplicaID(number(f[2]))}}))
	case "tick":
		for range number(f[2]) {
			s.check(n.node.Tick())
		}
	case "output":
		s.output(n, true)
	case "store":
		s.store(n)
	case "deliver":
		s.deliver(n, true)
	case "apply":
		s.apply(n, true)
	case "settle":
		s.settle()
	case "cut", "heal":
		s.cut[ReplicaID(number(f[1]))] = f[0] == "cut"
	case "crash":
		s.boot(n.id, n.disk, n.from)
	case "checkpoint": // checkpoint <replica> <window>: at what is applied; the log before the window is not served
		n.from = Checkpoint{Index: n.node.applied, Term: n.disk.entries[n.node.applied].Term, Members: n.node.Members()}
		n.disk.window = number(f[2])
		n.node.Checkpointed(n.from)
	case "install": // install <replica> <from>: take over the checkpoint and the log up to it, as after a crash
		other := s.nodes[ReplicaID(number(f[2]))]
		n.disk.entries = slices.Clone(other.disk.entries[:other.from.Index+1])
		s.boot(n.id, n.disk, other.from)
		s.check(s.nodes[n.id].node.Announce(other.id, holdfast.SiteID(other.id)))
	case "status":
		s.status()
	default:
		s.t.Fatalf("unknown command %q", f)
	}
}

func number(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (s *stage) check(err error) {
	if err != nil {
		s.print("%v", err)
	}
}

func (s *stage) voters(ids []string) {
	var founders []Member
	for _, id := range ids {
		founders = append(founders, Member{Replica: ReplicaID(number(id)), Site: holdfast.SiteID(number(id))})
	}
	for _, m := range founders {
		s.boot(m.Replica, &memoryLog{entries: make([]Entry, 1)}, Checkpoint{Members: NewMembers(founders)})
	}
}

func (s *stage) boot(id ReplicaID, disk *memoryLog, from Checkpoint) {
	node, err := NewNode(NodeConfig{Shard: 1, Replica: id, Log: disk, Checkpoint: from})
	if err != nil {
		s.t.Fatal(err)
	}
	s.nodes[id] = &actor{id: id, site: holdfast.SiteID(id), node: node, disk: disk, from: from}
}

func (s *stage) each() (list []*actor) {
	for id := range ReplicaID(10) {
		if n := s.nodes[id]; n != nil {
			list = append(list, n)
		}
	}
	return list
}

func (s *stage) output(n *actor, loud bool) bool {
	any := false
	for n.node.HasOutput() {
		out, err := n.node.Output()
		if err != nil {
			s.t.Fatal(err)
		}
		any = true
		if out.Leader != nil {
			s.print("%d: leader %d, term %d", n.id, out.Leader.Leader, out.Leader.Term)
		}
		for _, m := range out.Messages {
			if loud {
				s.print("%d sends %s", n.id, describe(m.Payload))
			}
			s.net = append(s.net, m)
		}
		for _, w := range out.Writes {
			if loud {
				s.print("%d wants on disk: %s", n.id, describeWrite(w))
			}
			n.writes = append(n.writes, w)
		}
		n.commits = append(n.commits, out.Commits...)
		if len(out.Commits) > 0 && loud {
			s.print("%d may apply up to %d", n.id, out.Commits[len(out.Commits)-1].Index)
		}
		for _, r := range out.Reads {
			s.print("%d: read %d is linearizable at %d", n.id, r.ID, r.Index)
		}
		if out.Offer != nil {
			s.print("%d is offered the checkpoint at %d by %d", n.id, out.Offer.Index, out.Offer.From)
		}
		if out.NeedCheckpoint {
			s.print("%d needs a checkpoint", n.id)
		}
	}
	return any
}

func (s *stage) store(n *actor) bool {
	list := n.writes
	n.writes = nil
	for _, w := range list {
		n.disk.write(w)
		s.check(n.node.Stored(w.Token))
	}
	return len(list) > 0
}

func (s *stage) deliver(n *actor, loud bool) bool {
	var rest []Message
	any := false
	for _, m := range s.net {
		if m.Site != n.site {
			rest = append(rest, m)
			continue
		}
		any = true
		from := sender(m.Payload)
		if s.cut[n.id] || s.cut[from] {
			if loud {
				s.print("lost: %s", describe(m.Payload))
			}
			continue
		}
		if err := n.node.Step(holdfast.SiteID(from), m.Payload); errors.Is(err, ErrNotForUs) {
			s.print("%d refuses %s", n.id, describe(m.Payload))
		} else {
			s.check(err)
		}
	}
	s.net = rest
	return any
}

func (s *stage) apply(n *actor, loud bool) bool {
	list := n.commits
	n.commits = nil
	for _, e := range list {
		if loud || e.Type != EntryNormal {
			s.print("%d applies %s", n.id, describeEntry(e))
		}
		s.check(n.node.Applied(e.Index))
	}
	return len(list) > 0
}

// settle lets everything happen, in order of the nodes, until nothing does.
func (s *stage) settle() {
	for busy := true; busy; {
		busy = false
		for _, n := range s.each() {
			for _, did := range []bool{s.output(n, false), s.store(n), s.deliver(n, false), s.apply(n, false)} {
				busy = busy || did
			}
		}
	}
}

func (s *stage) status() {
	for _, n := range s.each() {
		st, err := n.node.Status()
		if err != nil {
			s.t.Fatal(err)
		}
		var members []string
		for _, m := range n.node.Members().List {
			members = append(members, fmt.Sprintf("%d%s", m.Replica, map[Role]string{
				Voter: "", Learner: " learns", OldVoter: " leaves", Voter | OldVoter: " stays",
			}[m.Role]))
		}
		s.print("%d: %s, term %d, voted for %d, last %d, commit %d, applied %d; members %s",
			n.id, st.State, st.Term, st.Vote, n.disk.LastIndex(), st.Commit, st.Applied, strings.Join(members, ", "))
	}
}

func decode(payload []byte) *pb.Message {
	m := &pb.Message{}
	if err := proto.Unmarshal(payload[1:], m); err != nil {
		panic(err)
	}
	return m
}

func sender(payload []byte) ReplicaID {
	if note, ok := ParseNote(payload); ok {
		return note.From
	}
	return ReplicaID(decode(payload).GetFrom())
}

func describe(payload []byte) string {
	if note, ok := ParseNote(payload); ok {
		return fmt.Sprintf("note %d->%d term %d on disk to %d", note.From, note.To, note.Term, note.Index)
	}
	m := decode(payload)
	text := fmt.Sprintf("%s %d->%d term %d", m.GetType(), m.GetFrom(), m.GetTo(), m.GetTerm())
	if m.GetIndex() > 0 || m.GetLogTerm() > 0 {
		text += fmt.Sprintf(" index %d/%d", m.GetIndex(), m.GetLogTerm())
	}
	if m.GetCommit() > 0 {
		text += fmt.Sprintf(" commit %d", m.GetCommit())
	}
	if m.GetReject() {
		text += " reject"
	}
	for _, e := range m.GetEntries() {
		text += fmt.Sprintf(" [%d/%d %q]", e.GetIndex(), e.GetTerm(), e.GetData())
	}
	return text
}

func describeWrite(w Write) string {
	text := ""
	if w.Hard != nil {
		text = fmt.Sprintf("term %d vote %d commit %d", w.Hard.Term, w.Hard.Vote, w.Hard.Commit)
	}
	for _, e := range w.Entries {
		text += " " + describeEntry(e)
	}
	return strings.TrimSpace(text)
}

func describeEntry(e Entry) string {
	if e.Type != EntryNormal {
		return fmt.Sprintf("[%d/%d members]", e.Index, e.Term)
	}
	return fmt.Sprintf("[%d/%d %q]", e.Index, e.Term, e.Data)
}
