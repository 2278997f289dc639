package shard

import (
	"sync"
	"sync/atomic"

	"holdfast"
	"holdfast/ledger"
)

// Batch is encoded transactions, one after the other.
type Batch struct {
	Body   []byte
	Ends   []uint32 // where in Body each transaction ends
	Origin Origin   // who has forwarded them
}

// Add encodes a transaction behind those that are there.
func (b *Batch) Add(t *holdfast.Txn) {
	b.Body = ledger.AppendTxn(b.Body, t)
	b.Ends = append(b.Ends, uint32(len(b.Body)))
}

// AddEncoded appends what [ledger.AppendTxn] has made.
func (b *Batch) AddEncoded(txn []byte) {
	b.Body = append(b.Body, txn...)
	b.Ends = append(b.Ends, uint32(len(b.Body)))
}

// Count is how many transactions there are.
func (b *Batch) Count() int { return len(b.Ends) }

func (b *Batch) start(i int) uint32 {
	if i == 0 {
		return 0
	}
	return b.Ends[i-1]
}

// Bounds beyond which a call of [Host.Submit] counts as bulk: it then waits behind payments that came one by one.
const (
	bulkCount = 64
	bulkBytes = 64 << 10
)

// Request is a batch on its way: queued, proposed, answered. Exactly one answer is given, by whichever goroutine finds it.
type Request struct {
	Batch Batch
	Bulk  bool
	// Until is when its caller goes, by the clock of the intake: from then on nothing of it is proposed any more. 0: never.
	Until int64
	// Answer is called once, when Outcomes or Err is set. It must not block.
	Answer func(*Request)

	// Outcomes has one per transaction when Err is nil.
	Outcomes []holdfast.Outcome
	// Err is one of the errors of [OutcomeOf], for all transactions of the batch alike.
	Err error

	state atomic.Uint32
	next  int // the first transaction not proposed yet; consensus goroutine

	mu      sync.Mutex // guards what follows, and Outcomes and Err until answered
	open    int        // parts proposed and not settled
	whole   bool       // no more parts will be proposed
	settled bool
}

const (
	requestQueued uint32 = iota
	requestProposed
	requestWithdrawn
	requestAnswered
)

// Withdraw takes a request back that nothing was proposed of; then it is never answered. False: it was proposed already.
func (r *Request) Withdraw() bool { return r.state.CompareAndSwap(requestQueued, requestWithdrawn) }

// claim is the consensus side's half of Withdraw. False as well: it was answered, and nothing of it may be proposed any more.
func (r *Request) claim() bool {
	return r.state.CompareAndSwap(requestQueued, requestProposed) || r.state.Load() == requestProposed
}

// refuse answers a request that nothing was proposed of; of which something was, its fate is unknown.
func (r *Request) refuse(err error) {
	if r.state.CompareAndSwap(requestQueued, requestProposed) {
		r.fail(err)
		return
	}
	if r.state.Load() == requestProposed {
		r.fail(ErrLost)
	}
}

func (r *Request) fail(err error) {
	r.mu.Lock()
	done := r.settled
	if !done {
		r.settled, r.Err, r.Outcomes = true, err, nil
		r.state.Store(requestAnswered)
	}
	r.mu.Unlock()
	if !done {
		r.Answer(r)
	}
}

// expectPart notes that transactions are about to be proposed; last: no more will follow.
func (r *Request) expectPart(last bool) {
	r.mu.Lock()
	r.open++
	r.whole = last
	r.mu.Unlock()
}

// settlePart takes the outcomes of transactions from on; when nothing is open any more the request is answered.
func (r *Request) settlePart(from int, outcomes []holdfast.Outcome) {
	r.mu.Lock()
	r.open--
	done := r.whole && r.open == 0 && !r.settled
	switch {
	case r.settled:
	case len(outcomes) == r.Batch.Count():
		r.Outcomes = outcomes
	default:
		if r.Outcomes == nil {
			r.Outcomes = make([]holdfast.Outcome, r.Batch.Count())
		}
		copy(r.Outcomes[from:], outcomes)
	}
	if done {
		r.settled = true
		r.state.Store(requestAnswered)
	}
	r.mu.Unlock()
	if done {
		r.Answer(r)
	}
}

// queue is one class of waiting requests, first come first served, bounded in number and bytes.
type queue struct {
	list  []*Request
	head  int
	bytes int
	max   int
	limit int // bytes
}

func (q *queue) len() int { return len(q.list) - q.head }

func (q *queue) put(r *Request) bool {
	if q.len() >= q.max || q.bytes+len(r.Batch.Body) > q.limit && q.len() > 0 {
		return false
	}
	if q.head > 1024 && q.head > len(q.list)/2 {
		n := copy(q.list, q.list[q.head:])
		clear(q.list[n:])
		q.list, q.head = q.list[:n], 0
	}
	q.list = append(q.list, r)
	q.bytes += len(r.Batch.Body)
	return true
}

func (q *queue) peek() *Request {
	if q.len() == 0 {
		return nil
	}
	return q.list[q.head]
}

func (q *queue) pop() {
	q.bytes -= len(q.list[q.head].Batch.Body)
	q.list[q.head] = nil
	if q.head++; q.head == len(q.list) {
		q.list, q.head = q.list[:0], 0
	}
}

// Intake is where requests wait to be proposed: payments that came one by one strictly before bulk. Safe for concurrent use.
type Intake struct {
	mu     sync.Mutex
	single queue
	bulk   queue
	closed error        // why nothing is taken any more
	clock  func() int64 // that Until goes by; nil: nobody's time is ever over
}

// now is the moment by which it is judged who has gone.
func (in *Intake) now() int64 {
	if in.clock == nil {
		return 0
	}
	return in.clock()
}

// gone reports whether nobody waits for the request any more. Who has gone is told that nothing was executed, as if he had withdrawn it:
// on a busy machine he may not have had his turn to do so, and what would be done for him keeps others waiting.
func (r *Request) gone(now int64) bool { return r.Until != 0 && now >= r.Until }

// Bounds of the intake of one shard.
const (
	maxSingles     = 32 << 10
	maxSingleBytes = 64 << 20
	maxBulks       = 256
	maxBulkBytes   = 256 << 20
)

// NewIntake makes an empty intake.
func NewIntake() *Intake {
	return &Intake{
		single: queue{max: maxSingles, limit: maxSingleBytes},
		bulk:   queue{max: maxBulks, limit: maxBulkBytes},
	}
}

// Put queues a request. [ErrOverloaded], or the error given to Close: it was not queued and will not be answered.
func (in *Intake) Put(r *Request) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed != nil {
		return in.closed
	}
	q := &in.single
	if r.Bulk {
		q = &in.bulk
	}
	if !q.put(r) {
		return ErrOverloaded
	}
	return nil
}

// Refuse answers everything that waits with err.
func (in *Intake) Refuse(err error) {
	in.mu.Lock()
	var list []*Request
	for _, q := range []*queue{&in.single, &in.bulk} {
		for q.len() > 0 {
			list = append(list, q.peek())
			q.pop()
		}
	}
	in.mu.Unlock()
	for _, r := range list {
		r.refuse(err)
	}
}

// Close refuses what waits and whatever comes.
func (in *Intake) Close(err error) {
	in.mu.Lock()
	in.closed = err
	in.mu.Unlock()
	in.Refuse(err)
}

// Waiting is how many requests wait in each class.
func (in *Intake) Waiting() (single, bulk int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.single.len(), in.bulk.len()
}
