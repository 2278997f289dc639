package shard

// ReadRequest is a linearizable read that waits for its turn. Answer is called once, and must not block: with Err nil the
// state that is applied now, or any later one, is new enough.
type ReadRequest struct {
	Answer func(*ReadRequest)
	Err    error
	ticks  int // waited for a majority
	index  uint64
}

// readDesk batches reads: all that come while one question is out share the next. Owned by [Replica].
type readDesk struct {
	id       uint64
	fresh    []*ReadRequest // no question has been asked for these
	asked    []*ReadRequest // question id is out
	waiting  []*ReadRequest // confirmed; wait to be applied
	askAgain bool
	quiet    int // ticks since the question was asked last
	limit    int // ticks
	orphaned int // ticks without a known leader
}

// repeatTicks is when a question that was not answered is asked again: it may have been lost with its leader.
const repeatTicks = 5

func (d *readDesk) add(q *ReadRequest) {
	if d.orphaned > d.limit {
		q.Err = ErrNoQuorum
		q.Answer(q)
		return
	}
	d.fresh = append(d.fresh, q)
}

// busy reports whether a read waits for anything.
func (d *readDesk) busy() bool { return len(d.fresh)+len(d.asked)+len(d.waiting) > 0 }

// again asks everything anew: the leader has changed. Those that wait to be applied are asked as well, for they may wait for an entry that
// the last leader had told others of, and that was lost with it. The number changes, so that no answer of that leader counts any more.
func (d *readDesk) again() {
	d.asked, d.waiting = append(d.asked, d.waiting...), nil
	if d.askAgain = len(d.asked) > 0; d.askAgain {
		d.id++
	}
}

// ask puts the question when there is none out, or when the one that is out may be lost.
func (d *readDesk) ask(n *Node) error {
	if len(d.asked) == 0 && len(d.fresh) > 0 {
		d.asked, d.fresh = d.fresh, nil
		d.id++
		d.askAgain = true
	}
	if !d.askAgain || n.leader.Leader == 0 || n.leader.Self && !n.Ready() {
		return nil
	}
	d.askAgain, d.quiet = false, 0
	return n.ReadIndex(d.id)
}

// ready takes the library's answers. Those to older questions are of no interest any more.
func (d *readDesk) ready(answers []ReadReady, applied uint64) {
	for _, a := range answers {
		if a.ID != d.id {
			continue
		}
		for _, q := range d.asked {
			q.index = a.Index
		}
		d.waiting = append(d.waiting, d.asked...)
		d.asked, d.askAgain = nil, false
	}
	d.applied(applied)
}

func (d *readDesk) applied(index uint64) {
	keep := d.waiting[:0]
	for _, q := range d.waiting {
		if q.index <= index {
			q.Answer(q)
			continue
		}
		keep = append(keep, q)
	}
	clear(d.waiting[len(keep):])
	d.waiting = keep
}

func (d *readDesk) tick(n *Node) error {
	if d.orphaned++; n.leader.Leader != 0 {
		d.orphaned = 0
	}
	d.fresh = d.expire(d.fresh)
	d.asked = d.expire(d.asked)
	if d.quiet++; d.quiet >= repeatTicks && len(d.asked) > 0 {
		d.askAgain = true
	}
	return d.ask(n)
}

func (d *readDesk) expire(list []*ReadRequest) []*ReadRequest {
	keep := list[:0]
	for _, q := range list {
		if q.ticks++; q.ticks > d.limit {
			q.Err = ErrNoQuorum
			q.Answer(q)
			continue
		}
		keep = append(keep, q)
	}
	clear(list[len(keep):])
	return keep
}

// refuse answers everything.
func (d *readDesk) refuse(err error) {
	for _, list := range [][]*ReadRequest{d.fresh, d.asked, d.waiting} {
		for _, q := range list {
			q.Err = err
			q.Answer(q)
		}
	}
	d.fresh, d.asked, d.waiting = nil, nil, nil
}
