package shard

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast"
)

// With two or three voters an entry is committed as soon as the leader and one follower have it on disk. The follower knows the one
// itself, and the leader tells it the other in a note: so it knows half a round trip after the proposal what it would be told a whole
// one later. Notes go to sites that wait for something in the entry, and to nobody else. See DESIGN.md.

// Ticket names a request at the site that has forwarded it, unlike all others of that site, whenever they were. 0 is none.
type Ticket uint64

// Origin is the site that has forwarded a batch and waits for it under a ticket. The zero value: nobody has.
type Origin struct {
	Site   holdfast.SiteID
	Ticket Ticket
}

// mention says that a forwarded request is in an entry, place transactions from its beginning.
type mention struct {
	Origin
	nonce Nonce
	place uint32
}

// logEnd is the last entry of a log, or of a part of it.
type logEnd struct{ term, index uint64 }

// Note is what a leader tells a follower: From has everything up to Index on its disk, that entry is of its own term, and with To it
// is a majority of the voters.
type Note struct {
	From, To    ReplicaID
	Term, Index uint64
	mentions    []mention
}

const (
	noteVersion  = 2 // in the place of payloadVersion: a replica of an earlier release ignores it
	noteHead     = 1 + 4*8
	mentionBytes = 8 + 16 + 4
)

// append appends the payload of a message.
//
//	offset size
//	0      1    version, 2
//	1      8    leader
//	9      8    follower
//	17     8    term
//	25     8    index
//	33     ...  for each request of the receiver's site: ticket (8), nonce of its entry (16), place in it (4)
func (n *Note) append(b []byte) []byte {
	b = append(b, noteVersion)
	for _, x := range []uint64{uint64(n.From), uint64(n.To), n.Term, n.Index} {
		b = binary.BigEndian.AppendUint64(b, x)
	}
	for i := range n.mentions {
		m := &n.mentions[i]
		b = binary.BigEndian.AppendUint64(b, uint64(m.Ticket))
		b = append(b, m.nonce[:]...)
		b = binary.BigEndian.AppendUint32(b, m.place)
	}
	return b
}

// ParseNote reads the payload of a message; ok is false for every other message.
func ParseNote(b []byte) (n Note, ok bool) {
	if len(b) < noteHead || b[0] != noteVersion || (len(b)-noteHead)%mentionBytes != 0 {
		return n, false
	}
	word := func(at int) uint64 { return binary.BigEndian.Uint64(b[at:]) }
	n = Note{From: ReplicaID(word(1)), To: ReplicaID(word(9)), Term: word(17), Index: word(25)}
	for b = b[noteHead:]; len(b) > 0; b = b[mentionBytes:] {
		n.mentions = append(n.mentions, mention{
			Origin: Origin{Ticket: Ticket(binary.BigEndian.Uint64(b))}, nonce: Nonce(b[8:24]), place: binary.BigEndian.Uint32(b[24:]),
		})
	}
	return n, true
}

// mention notes that requests of other sites are in an entry that was just proposed.
func (n *Node) mention(nonce Nonce, parts []part) {
	place := uint32(0)
	for _, p := range parts {
		if o := p.request.Batch.Origin; o.Site != 0 && p.count == p.request.Batch.Count() {
			n.mentions = append(n.mentions, mention{o, nonce, place})
		}
		place += uint32(p.count)
	}
}

// tell tells those who wait for entries that have just become durable here how far the log here is.
func (n *Node) tell(mentions []mention) {
	upTo := n.stored
	if PlantedNoteUnsynced {
		upTo.index = n.end
	}
	if len(mentions) == 0 {
		return
	}
	status := n.raft.BasicStatus()
	if status.RaftState != raft.StateLeader || upTo.term != status.HardState.GetTerm() || upTo.index <= status.HardState.GetCommit() {
		return // it leads no more, or the commit index, which is on its way to all, says as much
	}
	for _, m := range n.members.List {
		note := Note{From: n.config.Replica, To: m.Replica, Term: upTo.term, Index: upTo.index}
		for _, x := range mentions {
			if x.Site == m.Site {
				note.mentions = append(note.mentions, x)
			}
		}
		if len(note.mentions) == 0 || !n.members.suffice(note.From, note.To) {
			continue
		}
		n.told = upTo
		n.messages = append(n.messages, Message{To: m.Replica, Site: m.Site, Payload: note.append(nil), Urgent: true})
	}
}

// suffice reports whether two replicas are a majority without any other.
func (m Members) suffice(a, b ReplicaID) bool {
	if PlantedNoteToAll {
		return a != b
	}
	voters, both := 0, 0
	for _, x := range m.List {
		if x.Role&Voter == 0 {
			continue
		}
		if voters++; x.Replica == a || x.Replica == b {
			both++
		}
	}
	return both == 2 && voters <= 3 && !m.Joint()
}

// stepNote takes a note of the leader.
func (n *Node) stepNote(from holdfast.SiteID, payload []byte) error {
	note, ok := ParseNote(payload)
	if !ok || note.To != n.config.Replica || note.From == note.To {
		return fmt.Errorf("%w: a note from site %d", ErrNotForUs, from)
	}
	n.config.Forwarded.found(note.mentions)
	status := n.raft.BasicStatus()
	if note.Term != status.HardState.GetTerm() || uint64(note.From) != status.Lead {
		return nil // of a leader that is none any more, or none yet that is known here
	}
	n.stirred, n.spoke = true, true
	if n.noted.term < note.Term || n.noted.index < note.Index {
		n.noted = logEnd{note.Term, note.Index}
	}
	n.commitEarly()
	return nil
}

// commitEarly takes for committed what both the leader and this replica have on disk, if it is of the leader's term, which is still
// the term here. The library has one way to hear that, and that is how it hears it.
func (n *Node) commitEarly() {
	if n.noted.index == 0 || n.noted.term < n.stored.term {
		return // nearly always
	}
	status := n.raft.BasicStatus()
	term, mine := status.HardState.GetTerm(), n.stored
	if PlantedEarlyUnsynced {
		mine = logEnd{term, n.end}
	}
	if n.noted.term != term || mine.term != term && !PlantedNoteOldTerm || status.Lead == 0 || status.Lead == uint64(n.config.Replica) {
		return
	}
	if index := min(n.noted.index, mine.index); index > status.HardState.GetCommit() {
		n.ignore(n.raft.Step(heartbeat(ReplicaID(status.Lead), n.config.Replica, term, index)))
	}
}

// heartbeat is what the leader would send; nobody waits for the answer to it.
func heartbeat(from, to ReplicaID, term, commit uint64) *pb.Message {
	return &pb.Message{
		Type: pb.MsgHeartbeat.Enum(), From: new(uint64(from)), To: new(uint64(to)), Term: new(term), Commit: new(commit),
		Context: []byte(beatMark),
	}
}

// Somebody may have acted upon what was told before the leader itself knows that it is committed. So a read that comes to the leader then
// has to wait for it: the question carries the index through the library, behind the reader's number.

// marked is a reader's question with what it has to see in it.
func (n *Node) marked(question []byte) []byte {
	if !n.leader.Self || n.told.term != n.leader.Term || len(question) != 8 || PlantedReadsUntold {
		return question
	}
	return binary.BigEndian.AppendUint64(question[:8:8], n.told.index)
}

// unmarked undoes marked: the question as it was, and the index that answers it.
func unmarked(question []byte, index uint64) ([]byte, uint64) {
	if len(question) != 16 {
		return question, index
	}
	return question[:8:8], max(index, binary.BigEndian.Uint64(question[8:]))
}

// answerRead puts that right in an answer to another replica.
func answerRead(m *pb.Message) {
	if list := m.GetEntries(); len(list) == 1 {
		question, index := unmarked(list[0].GetData(), m.GetIndex())
		m.Index, m.Entries = new(index), []*pb.Entry{{Data: question}}
	}
}

// Forwarded are the requests that this site has forwarded to the leader of a shard, and hears of from its own replica when that applies
// their entry. The outcomes are those of the leader, and whoever waits takes what comes first. The site adds and drops, the
// consensus side finds, the apply side settles: safe for concurrent use.
type Forwarded struct {
	expected atomic.Int64 // len(entries): most entries are applied while nothing is
	mu       sync.Mutex   // guards what follows
	waiting  map[Ticket]*awaited
	entries  map[Nonce][]*awaited
}

type awaited struct {
	ticket Ticket
	count  int
	settle func([]holdfast.Outcome)
	nonce  Nonce // of its entry; zero: not known
	place  int
}

// NewForwarded makes an empty table.
func NewForwarded() *Forwarded {
	return &Forwarded{waiting: map[Ticket]*awaited{}, entries: map[Nonce][]*awaited{}}
}

// Add begins to wait for a request of so many transactions. settle is called at most once, and must not block; until Drop.
func (f *Forwarded) Add(t Ticket, count int, settle func([]holdfast.Outcome)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting[t] = &awaited{ticket: t, count: count, settle: settle}
}

// Drop ends the waiting. A call of settle may be under way.
func (f *Forwarded) Drop(t Ticket) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.waiting[t]
	if x == nil {
		return
	}
	delete(f.waiting, t)
	if list := f.entries[x.nonce]; len(list) > 0 {
		f.keep(x.nonce, without(list, x))
	}
}

func without(list []*awaited, x *awaited) (keep []*awaited) {
	for _, y := range list {
		if y != x {
			keep = append(keep, y)
		}
	}
	return keep
}

func (f *Forwarded) keep(nonce Nonce, list []*awaited) {
	if f.entries[nonce] = list; len(list) == 0 {
		delete(f.entries, nonce)
	}
	f.expected.Store(int64(len(f.entries)))
}

// found notes in which entries requests are, as the leader says. A request has one entry: what a ticket was found in stays.
func (f *Forwarded) found(list []mention) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range list {
		m := &list[i]
		if x := f.waiting[m.Ticket]; x != nil && x.nonce == (Nonce{}) {
			x.nonce, x.place = m.nonce, int(m.place)
			f.keep(m.nonce, append(f.entries[m.nonce], x))
		}
	}
}

// waits reports whether somebody waits for an entry.
func (f *Forwarded) waits(nonce Nonce) bool {
	if f.expected.Load() == 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.entries[nonce]) > 0
}

// Settle hands the outcomes of an applied entry to those who wait for them.
func (f *Forwarded) Settle(nonce Nonce, outcomes []holdfast.Outcome) {
	if f.expected.Load() == 0 {
		return
	}
	f.mu.Lock()
	list := f.entries[nonce]
	for _, x := range list {
		delete(f.waiting, x.ticket)
	}
	f.keep(nonce, nil)
	f.mu.Unlock()
	for _, x := range list {
		if end := x.place + x.count; end <= len(outcomes) { // another number would be the other site's mistake
			x.settle(outcomes[x.place:end:end])
		}
	}
}
