package shard

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"holdfast"
)

// Slumber is the heartbeat of one shard that is asleep: what its leader would say to one follower, again and again. A beat stands for
// those of all such shards.
type Slumber struct {
	Shard    holdfast.ShardID
	From, To ReplicaID
	Term     uint64
	Commit   uint64 // all of the log: a shard that is asleep has nothing that is not committed
}

// BeatConfig is what [Beats] start from.
type BeatConfig struct {
	Site           holdfast.SiteID
	Life           uint64 // drawn anew at every start of a process
	HeartbeatTicks int    // 0: 2
	ElectionTicks  int    // 0: 10
}

// Beats is how the sites of a fleet keep shards in office that have nothing to do. Every site sends every other one beat per
// heartbeat, whatever it leads. A shard in which nothing happens falls asleep: nobody ticks it, and it sends nothing. Its leader's
// site names it in a list, and each beat says that the list still holds; the list itself is sent when it has changed. A follower
// sleeps as long as the beats of its leader's site come in time and name it. When they do not, it wakes as much nearer to an election
// as they have been missing, and so elects no later than if it had been awake.
//
// A beat is a heartbeat and nothing else: everything it says is what the leader's own heartbeat would say in that term to that
// replica, so a lost, late or repeated one can do no more harm. Ticks are counted, not time: a process that did not run has not
// listened. Beats is a step function, not safe for concurrent use.
type Beats struct {
	config BeatConfig
	ticks  uint64 // also the number of the latest beat
	// Part is how many ticks have passed since the last call of Tick, where several are passed at once.
	Part int
	// Lame says that some replica of this site is not at work: out of service, or not let in yet. A beat vouches for none that is missing.
	Lame bool
	// Wall is the clock of this site, for the next beats to say; 0: they say nothing of it.
	Wall  holdfast.Time
	epoch uint64 // of the list
	led   map[holdfast.ShardID]ledAsleep
	peers map[holdfast.SiteID]*beatPeer
}

// ledAsleep is a shard that is led here and asleep.
type ledAsleep struct {
	from         ReplicaID
	term, commit uint64
	with         []Member // the other voters
	learners     []Member // that have everything: they are told, and nothing waits for them
	absent       []Member // learners whose sites are silent: they are caught up when they are heard
}

// beatPeer is what is known of another site.
type beatPeer struct {
	life   uint64
	lame   bool   // some replica there is not at work
	heard  uint64 // the number of its latest beat
	silent int    // ticks since then
	echo   uint64 // the latest of our beats that it has heard
	knows  uint64 // the epoch of our list that it has
	epoch  uint64 // of the list that we have of it
	list   map[holdfast.ShardID]Slumber
	wall   holdfast.Time // its clock, as the latest beat says; 0: it does not, or this has been taken
}

// never is how long a site has been silent that was never heard.
const never = 1 << 30

// NewBeats begins with nobody asleep.
func NewBeats(c BeatConfig) *Beats {
	c.HeartbeatTicks, c.ElectionTicks = orElse(c.HeartbeatTicks, 2), orElse(c.ElectionTicks, 10)
	return &Beats{config: c, epoch: 1, led: map[holdfast.ShardID]ledAsleep{}, peers: map[holdfast.SiteID]*beatPeer{}}
}

// Tick passes one unit of time. It reports whether it is time to send a beat to every other site.
func (b *Beats) Tick() (due bool) {
	b.ticks++
	for _, p := range b.peers {
		p.silent = min(p.silent+1, never)
	}
	return b.ticks%uint64(b.config.HeartbeatTicks) == 0
}

func (b *Beats) peer(site holdfast.SiteID) *beatPeer {
	p := b.peers[site]
	if p == nil {
		p = &beatPeer{silent: never}
		b.peers[site] = p
	}
	return p
}

// doubtAfter is after how many ticks without a beat nobody sleeps on: just before an election could begin.
func (b *Beats) doubtAfter() int { return max(b.config.ElectionTicks-2, b.config.HeartbeatTicks+1) }

// unheardAfter is that for a confirmation of a beat, which takes a round trip and the time between two beats of either side.
func (b *Beats) unheardAfter() int { return b.config.ElectionTicks }

// silence is for how many ticks a site has not been heard.
func (b *Beats) silence(site holdfast.SiteID) int { return b.peer(site).silent }

// unheard is for how many ticks a site has not confirmed a beat of this one, or has not been heard: a leader needs both ways.
func (b *Beats) unheard(site holdfast.SiteID) int {
	p := b.peer(site)
	if p.heard == 0 || p.echo == 0 {
		return never
	}
	return max(p.silent, int(min(b.ticks-p.echo, never)))
}

// RestTicks is how many ticks the clock of a site may pass at once while all its shards sleep and no beat is late: a beat is due then.
func (b *Beats) RestTicks() int { return restBeats * b.config.HeartbeatTicks }

const (
	beatVersion = 1
	beatHead    = 1 + 1 + 6*8
	slumberSize = 2 + 4*8

	// Flags of a beat.
	beatLists = 1
	beatLame  = 2
	beatWall  = 4
)

// Beat is what to send to another site now.
//
//	offset size
//	0      1    version, 1
//	1      1    flags; 1: a list follows, 2: some replica of the sender is not at work, 4: its clock follows, before the list
//	2      8    life of the sender
//	10     8    number of the beat
//	18     8    the life of the receiver that the sender has heard; 0: none. What follows is of that life
//	26     8    the number of the latest beat of the receiver that the sender has heard; 0: none
//	34     8    the epoch of the receiver's list that the sender has; 0: none
//	42     8    the epoch of the sender's list
//	50     ...  the list: shard (2), leader, follower, term, commit (8 each). The clock is an entry for shard 0, in the place of commit:
//	            to a release that does not know it, it is a shard which it does not have
func (b *Beats) Beat(to holdfast.SiteID) []byte {
	p := b.peer(to)
	out := make([]byte, 0, beatHead)
	out = append(out, beatVersion, 0)
	for _, n := range []uint64{b.config.Life, b.ticks, p.life, p.heard, p.epoch, b.epoch} {
		out = binary.BigEndian.AppendUint64(out, n)
	}
	if b.Lame {
		out[1] |= beatLame
	}
	if b.Wall != 0 {
		out[1] |= beatWall
		out = appendSlumber(out, Slumber{Shard: beatShard, Commit: uint64(b.Wall)})
	}
	if p.knows == b.epoch {
		return out
	}
	out[1] |= beatLists
	for _, id := range slices.Sorted(maps.Keys(b.led)) {
		l := b.led[id]
		for _, list := range [][]Member{l.with, l.learners} {
			for _, m := range list {
				if m.Site == to {
					out = appendSlumber(out, Slumber{Shard: id, From: l.from, To: m.Replica, Term: l.term, Commit: l.commit})
				}
			}
		}
	}
	return out
}

func appendSlumber(b []byte, s Slumber) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(s.Shard))
	for _, n := range []uint64{uint64(s.From), uint64(s.To), s.Term, s.Commit} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

var errBeat = errors.New("a beat is cut short or of another version")

// Hear takes a beat of another site. It returns what the site says of its shards that are asleep, for the replicas here that are not:
// each is to be given to [Node.Hear]. A beat that is older than one heard before says nothing.
func (b *Beats) Hear(from holdfast.SiteID, beat []byte) (list map[holdfast.ShardID]Slumber, err error) {
	if len(beat) < beatHead || beat[0] != beatVersion || beat[1]&beatWall != 0 && len(beat) < beatHead+slumberSize {
		return nil, errBeat
	}
	n := [6]uint64{}
	for i := range n {
		n[i] = binary.BigEndian.Uint64(beat[2+8*i:])
	}
	life, number, ours, echo, knows, epoch := n[0], n[1], n[2], n[3], n[4], n[5]
	if ours != b.config.Life || echo > b.ticks {
		echo, knows = 0, 0 // it speaks of an earlier start of this process, which had other numbers
	}
	p := b.peer(from)
	if p.life != life {
		*p = beatPeer{life: life, silent: never}
	}
	if number <= p.heard {
		return nil, nil
	}
	p.heard, p.silent, p.echo, p.knows, p.lame = number, -b.Part, echo, knows, beat[1]&beatLame != 0
	body := beat[beatHead:]
	if beat[1]&beatWall != 0 {
		p.wall, body = holdfast.Time(readSlumber(body).Commit), body[slumberSize:]
	}
	if beat[1]&beatLists != 0 {
		if p.list, err = readSlumbers(body); err != nil {
			return nil, err
		}
		p.epoch = epoch
	}
	if p.epoch != epoch { // it will be sent; until then nothing that we know of it holds
		p.list, p.epoch = nil, 0
	}
	return p.list, nil
}

// TheirWall is the clock of another site, as the latest beat says, and the number of the latest beat of this one that had been heard there
// before: the clock was read after that beat was sent. 0: the beat says nothing, or this has been asked since it came.
func (b *Beats) TheirWall(from holdfast.SiteID) (wall holdfast.Time, after uint64) {
	p := b.peer(from)
	wall, p.wall = p.wall, 0
	return wall, p.echo
}

// Number is that of the latest beat.
func (b *Beats) Number() uint64 { return b.ticks }

func readSlumber(b []byte) Slumber {
	return Slumber{
		Shard: holdfast.ShardID(binary.BigEndian.Uint16(b)),
		From:  ReplicaID(binary.BigEndian.Uint64(b[2:])), To: ReplicaID(binary.BigEndian.Uint64(b[10:])),
		Term: binary.BigEndian.Uint64(b[18:]), Commit: binary.BigEndian.Uint64(b[26:]),
	}
}

func readSlumbers(b []byte) (map[holdfast.ShardID]Slumber, error) {
	list := map[holdfast.ShardID]Slumber{}
	for ; len(b) >= slumberSize; b = b[slumberSize:] {
		s := readSlumber(b)
		list[s.Shard] = s
	}
	if len(b) > 0 {
		return nil, errBeat
	}
	return list, nil
}
