package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"holdfast"
)

// TestDigestDisagrees: a digest entry that was proposed from another state is a difference; one about something older is none. The
// state goes on either way: a wrong proposal must not stop those that are right.
func TestDigestDisagrees(t *testing.T) {
	s := New()
	apply := func(data []byte) error {
		index, _ := s.Applied()
		_, err := s.Apply(index+1, data, newMemory(), nil)
		return err
	}
	must(t, apply(AppendDigest(nil, [16]byte{}, 10, 0, 0)))
	index, digest := s.Checked()
	if index != 1 || digest != s.Digest() {
		t.Fatalf("checked %d, %x", index, digest)
	}
	must(t, apply(AppendDigest(nil, [16]byte{}, 11, index, digest)))
	must(t, apply(AppendDigest(nil, [16]byte{}, 12, index, digest+1))) // not the last one: nothing to compare with
	index, digest = s.Checked()
	if d, found := s.TakeDifference(); found {
		t.Fatalf("a difference without one: %v", d)
	}
	must(t, apply(AppendDigest(nil, [16]byte{}, 13, index, digest+1)))
	d, found := s.TakeDifference()
	if want := (ErrDigest{Index: index, Ours: digest, Theirs: digest + 1}); !found || d != want {
		t.Fatalf("got %v, want %v", d, want)
	}
	if d, found := s.TakeDifference(); found {
		t.Fatalf("the difference is told twice: %v", d)
	}
	if at, own := s.Checked(); at != 4 || own != s.Digest() {
		t.Fatalf("checked %d, %x after a difference, want 4 and our own digest", at, own)
	}
}

// TestDigestSeesEverything changes one thing at a time in a log: the digest must differ.
func TestDigestSeesEverything(t *testing.T) {
	run := func(change func(txns []holdfast.Txn)) uint64 {
		g := generator{}
		txns := append([]holdfast.Txn{g.openAll()}, sampleTxns()[:2]...)
		txns = append(txns,
			holdfast.Txn{ID: testID(5), Transfers: []holdfast.Transfer{
				{Kind: holdfast.Hold, Debit: testAccount(0), Credit: testAccount(6), Amount: 9, Timeout: 5, Code: 2},
			}},
			holdfast.Txn{
				ID: testID(6), Records: []holdfast.RecordChange{{Key: "key", Index: []string{"i1"}, Body: []byte("body")}},
				Messages: []holdfast.Message{{To: 2, Topic: "topic", Body: []byte("body")}},
			},
			holdfast.Txn{ID: testID(7), Transfers: []holdfast.Transfer{{Kind: holdfast.Post, Hold: testID(5), Amount: 4}}},
			holdfast.Txn{ID: testID(8), Acks: []uint64{1}},
		)
		for i := range txns {
			if len(txns[i].Transfers) > 0 && txns[i].Transfers[0].Kind == holdfast.Immediate {
				txns[i].Transfers[0].Debit, txns[i].Transfers[0].Credit = testAccount(0), testAccount(2)
			}
		}
		change(txns)
		w := newWorld(t)
		w.apply(txns...)
		return w.state.Digest()
	}
	seen := map[uint64]string{run(func([]holdfast.Txn) {}): "nothing"}
	for name, change := range map[string]func(txns []holdfast.Txn){
		"id":            func(txns []holdfast.Txn) { txns[1].ID = testID(70) },
		"amount":        func(txns []holdfast.Txn) { txns[1].Transfers[0].Amount++ },
		"debit":         func(txns []holdfast.Txn) { txns[1].Transfers[0].Debit = testAccount(6) },
		"limit":         func(txns []holdfast.Txn) { txns[0].Accounts[2].Limit = 0 },
		"account code":  func(txns []holdfast.Txn) { txns[0].Accounts[1].Code = 1 },
		"held amount":   func(txns []holdfast.Txn) { txns[3].Transfers[0].Amount++ },
		"held until":    func(txns []holdfast.Txn) { txns[3].Transfers[0].Timeout++ },
		"hold code":     func(txns []holdfast.Txn) { txns[3].Transfers[0].Code++ },
		"record key":    func(txns []holdfast.Txn) { txns[4].Records[0].Key = "kez" },
		"record index":  func(txns []holdfast.Txn) { txns[4].Records[0].Index[0] = "i2" },
		"record body":   func(txns []holdfast.Txn) { txns[4].Records[0].Body[3]++ },
		"message to":    func(txns []holdfast.Txn) { txns[4].Messages[0].To++ },
		"message topic": func(txns []holdfast.Txn) { txns[4].Messages[0].Topic = "topics" },
		"message body":  func(txns []holdfast.Txn) { txns[4].Messages[0].Body = nil },
		"posted":        func(txns []holdfast.Txn) { txns[5].Transfers[0].Amount++ },
		"voided":        func(txns []holdfast.Txn) { txns[5].Transfers[0].Kind, txns[5].Transfers[0].Amount = holdfast.Void, 0 },
		"ack":           func(txns []holdfast.Txn) { txns[6].Acks[0] = 2 },
	} {
		digest := run(change)
		if other, ok := seen[digest]; ok {
			t.Errorf("the digest is the same with a change of %s and of %s", name, other)
		}
		seen[digest] = name
	}
}

func TestApplyErrors(t *testing.T) {
	txn := sampleTxns()[0]
	good := AppendTxn(AppendHeader(nil, Header{Kind: KindTxns, Time: 20, Count: 1}), &txn)
	broken := slices.Clone(good)
	broken[HeaderBytes] = 0x77
	early := AppendHeader(nil, Header{Kind: KindNoop, Time: 10})
	for name, c := range map[string]struct {
		index uint64
		data  []byte
		want  string
	}{
		"gap":         {3, good, "entry 3 cannot follow entry 1"},
		"repeated":    {1, good, "entry 1 cannot follow entry 1"},
		"clock":       {2, early, "clock must only go forward"},
		"short":       {2, good[:20], "shorter than its header"},
		"cut":         {2, good[:len(good)-1], "corrupt"},
		"shape":       {2, broken, "0x77"},
		"rest":        {2, append(slices.Clone(good), 1), "1 bytes follow"},
		"noop body":   {2, append(AppendHeader(nil, Header{Kind: KindNoop, Time: 20}), 1), "body of 1 bytes"},
		"digest body": {2, AppendHeader(nil, Header{Kind: KindDigest, Time: 20}), "body of 0 bytes"},
	} {
		s := New()
		_, err := s.Apply(1, AppendHeader(nil, Header{Kind: KindNoop, Time: 10}), newMemory(), nil)
		must(t, err)
		if _, err = s.Apply(c.index, c.data, newMemory(), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want something with %q", name, err, c.want)
		}
	}
}

// failing is a store whose disk is broken.
type failing struct{}

var errDisk = errors.New("disk is broken")

func (f failing) Find(holdfast.ID) (Trace, bool, error) { return Trace{}, false, errDisk }

func (f failing) Record(string) (holdfast.Record, bool, error) {
	return holdfast.Record{}, false, errDisk
}
func (f failing) Entry(uint64) ([]byte, error) { return nil, errDisk }

// TestDiskErrors: what cannot be looked up is never taken for absent.
func TestDiskErrors(t *testing.T) {
	for name, txn := range map[string]holdfast.Txn{
		"plain":        sampleTxns()[0],
		"general":      sampleTxns()[3],
		"leg id":       {ID: testID(1000), Transfers: []holdfast.Transfer{{ID: testID(5), Kind: holdfast.Void, Hold: testID(6)}}},
		"hold":         {ID: testID(1000), Transfers: []holdfast.Transfer{{Kind: holdfast.Void, Hold: testID(6)}}},
		"precondition": {ID: testID(1000), Preconditions: []holdfast.Precondition{{Key: "k"}}, Acks: []uint64{1}},
		"record":       {ID: testID(1000), Records: []holdfast.RecordChange{{Key: "k"}}},
		"original":     (&generator{}).openAll(), // was applied before: its entry has to be read
	} {
		w := newWorld(t)
		w.apply((&generator{}).openAll())
		data := AppendTxn(AppendHeader(nil, Header{Kind: KindTxns, Time: w.time + 1, Count: 1}), &txn)
		if _, err := w.state.Apply(w.index+1, data, failing{}, nil); !errors.Is(err, errDisk) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestRestoreErrors(t *testing.T) {
	a := holdfast.Account{ID: testAccount(2), CreditsPosted: 5}
	b := holdfast.Account{ID: testAccount(4), DebitsPosted: 5}
	line := AssetTotal{Asset: a.ID.Asset, Accounts: 2, DebitsPosted: Sum{Lo: 5}, CreditsPosted: Sum{Lo: 5}}
	lone := OpenHold{ID: testID(1), Debit: a.ID, Credit: b.ID, Amount: 3}
	hold := func(h OpenHold) func(*State) error { return func(s *State) error { return s.RestoreHold(&h) } }
	meta := Meta{Index: 9, Accounts: 2, NextSeq: 4, Totals: []AssetTotal{line}}
	for name, c := range map[string]struct {
		meta func(m *Meta)
		load func(s *State) error
		want string
	}{
		"good":            {want: ""},
		"twice":           {load: func(s *State) error { return s.RestoreAccount(&a) }, want: "twice"},
		"too few":         {meta: func(m *Meta) { m.Accounts = 3 }, want: "should have 3"},
		"totals":          {meta: func(m *Meta) { m.Totals[0].DebitsPosted.Lo = 6 }, want: "trial balance"},
		"hold without":    {load: hold(OpenHold{Debit: testAccount(6)}), want: "not its debit"},
		"hold one-sided":  {load: hold(OpenHold{Debit: a.ID}), want: "not its credit"},
		"hold same":       {load: hold(OpenHold{Debit: a.ID, Credit: a.ID}), want: "both sides"},
		"hold not in sum": {meta: func(m *Meta) { m.Holds = 1 }, load: hold(lone), want: "open holds come to"},
		"message order":   {load: futureMessage, want: "next one is to be 4"},
	} {
		s, m := New(), meta
		m.Totals = slices.Clone(meta.Totals)
		if c.meta != nil {
			c.meta(&m)
		}
		s.RestoreMeta(m)
		must(t, s.RestoreAccount(&a))
		must(t, s.RestoreAccount(&b))
		var err error
		if c.load != nil {
			err = c.load(s)
		}
		if err == nil {
			err = s.Restored()
		}
		if got := fmt.Sprint(err); c.want == "" && err != nil || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	if err := New().Restored(); err == nil {
		t.Error("Restored without RestoreMeta is no error")
	}
}

func futureMessage(s *State) error { return s.RestoreOutbox(holdfast.Queued{Seq: 4}) }

func TestForgetOutOfOrder(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("forgetting the second segment before the first is no panic")
		}
	}()
	s := New()
	s.Seal()
	s.Forget(s.Seal())
}

// TestSegmentsAreReadAside persists segments in another goroutine while transactions go on; it is for the race detector.
func TestSegmentsAreReadAside(t *testing.T) {
	f := newFeeder(2000, false)
	s := f.restore(t)
	sealed, stored := make(chan *Segment, 1), make(chan int)
	go func() {
		store := newMemory()
		for g := range sealed {
			store.persist(g)
		}
		stored <- len(store.ids)
	}()
	for i := range 10 {
		open := holdfast.Txn{Accounts: []holdfast.AccountChange{{Op: holdfast.OpenAccount, ID: testAccount(5000 + i)}}}
		open.ID = testID(i + 1)
		f.time += benchBatch
		data := AppendTxn(AppendHeader(nil, Header{Kind: KindTxns, Time: f.time, Count: 1}), &open)
		_, err := s.Apply(s.index+1, data, noPast{}, nil)
		must(t, err)
		_, err = s.Apply(s.index+1, f.entry(), noPast{}, nil)
		must(t, err)
		sealed <- s.Seal()
	}
	close(sealed)
	if n := <-stored; n != 10*(benchBatch+1) {
		t.Errorf("%d ids were stored, want %d", n, 10*(benchBatch+1))
	}
}

// TestNoAllocation: a batch of plain transfers allocates nothing while the segment has room.
func TestNoAllocation(t *testing.T) {
	f := newFeeder(1000, false)
	s := f.restore(t)
	s.open.IDs, s.open.Rows = make([]IDRow, 0, 1<<18), make([]Row, 0, 1<<19)
	s.open.byID.grow(1 << 19)
	entries := make([][]byte, 12)
	for i := range entries {
		entries[i] = slices.Clone(f.entry())
	}
	out := make([]holdfast.Outcome, 0, benchBatch)
	next := 0
	if n := testing.AllocsPerRun(10, func() {
		var err error
		if out, err = s.Apply(s.index+1, entries[next], noPast{}, out[:0]); err != nil {
			t.Fatal(err)
		}
		next++
	}); n != 0 {
		t.Errorf("%v allocations per entry", n)
	}
}

// TestManyHolds opens holds on one account and ends them in another order; heap and lists must keep up.
func TestManyHolds(t *testing.T) {
	const count = 3000
	s, store, now := New(), newMemory(), holdfast.Time(0)
	apply := func(txns ...holdfast.Txn) {
		data := AppendHeader(nil, Header{Kind: KindTxns, Time: now + 1, Count: uint32(len(txns))})
		for i := range txns {
			data = AppendTxn(data, &txns[i])
		}
		out, err := s.Apply(s.index+1, data, store, nil)
		must(t, err)
		for _, o := range out {
			if o.Status != holdfast.Done {
				t.Fatalf("%+v", o)
			}
		}
		_, now = s.Applied()
	}
	apply((&generator{}).openAll())
	random := rand.New(rand.NewPCG(3, 4))
	for i := range count {
		apply(holdfast.Txn{ID: testID(2000 + i), Transfers: []holdfast.Transfer{{
			Kind: holdfast.Hold, Debit: testAccount(0), Credit: testAccount(6), Amount: 1,
			Timeout: time.Second + time.Duration(i*7919%997),
		}}})
	}
	for _, i := range random.Perm(count)[:count/2] {
		apply(holdfast.Txn{ID: testID(10000 + i), Transfers: []holdfast.Transfer{{Kind: holdfast.Void, Hold: testID(2000 + i)}}})
	}
	now += 1 << 40
	expired := 0
	for ids := s.DueHolds(now, 100); len(ids) > 0; ids = s.DueHolds(now, 100) {
		for _, id := range ids {
			apply(ExpiryTxn(id))
			expired++
		}
	}
	if expired != count-count/2 || len(s.HoldsOf(testAccount(0), count)) != 0 || s.accounts.hot.at(0).firstHold != 0 {
		t.Errorf("%d holds expired, want %d", expired, count-count/2)
	}
	_, err := s.Recount()
	must(t, err)
}

// TestWalkManyHolds: a page of the holds of a merchant with thousands of them is found in steps that are all short, while holds are
// closed between them: also the one where the walk was to go on.
func TestWalkManyHolds(t *testing.T) {
	const count = 3 * holdsPerStep
	s, store := New(), newMemory()
	apply := func(txns ...holdfast.Txn) {
		_, now := s.Applied()
		data := AppendHeader(nil, Header{Kind: KindTxns, Time: now + 1, Count: uint32(len(txns))})
		for i := range txns {
			data = AppendTxn(data, &txns[i])
		}
		_, err := s.Apply(s.index+1, data, store, nil)
		must(t, err)
	}
	apply((&generator{}).openAll())
	for i := range count {
		apply(holdfast.Txn{ID: testID(2000 + i), Transfers: []holdfast.Transfer{{
			Kind: holdfast.Hold, Debit: testAccount(0), Credit: testAccount(6), Amount: 1,
		}}})
	}
	all := s.HoldsOf(testAccount(6), count)
	oldest := all[count-5]
	walk, steps := HoldWalk{Account: testAccount(6), Before: Place{oldest.Position, oldest.Leg}, Max: 3}, 1
	for ; s.WalkHolds(&walk); steps++ {
		if steps == 1 || steps == 2 {
			apply(holdfast.Txn{ID: testID(1000000 + steps), Transfers: []holdfast.Transfer{{Kind: holdfast.Void, Hold: walk.at}}})
		}
	}
	if want := all[count-4 : count-1]; steps < 4 || !slices.Equal(walk.Found, want) {
		t.Errorf("after %d steps %+v, want %+v", steps, walk.Found, want)
	}
}

// TestSizes: what there are millions of stays small. 10 million accounts take 0.96 GB and 0.27 GB of index.
func TestSizes(t *testing.T) {
	if n := unsafe.Sizeof(account{}); n != 64 {
		t.Errorf("an account takes %d bytes, not one cache line", n)
	}
	if n := unsafe.Sizeof(accountRest{}); n != 32 {
		t.Errorf("the rest of an account takes %d bytes", n)
	}
	if n := unsafe.Sizeof(Row{}); n != 64 {
		t.Errorf("a row takes %d bytes", n)
	}
}

func TestSum(t *testing.T) {
	var s Sum
	for range 4 {
		s.add(1<<63 - 1)
	}
	if got, want := s.String(), "36893488147419103228"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for range 4 {
		s.sub(1<<63 - 1)
	}
	if s != (Sum{}) {
		t.Errorf("got %s, want 0", s)
	}
}

// TestPages: lists end where they were told to, and go on from there.
func TestPages(t *testing.T) {
	w := newWorld(t)
	g := generator{}
	w.apply(g.openAll())
	for i := range 9 {
		key := fmt.Sprintf("k%d", (i*5)%9)
		w.apply(holdfast.Txn{
			ID:        testID(i + 1),
			Records:   []holdfast.RecordChange{{Key: key, Index: []string{"i1"}}},
			Messages:  []holdfast.Message{{To: 1, Topic: key}},
			Transfers: []holdfast.Transfer{{Kind: holdfast.Immediate, Debit: testAccount(0), Credit: testAccount(2), Amount: 1}},
		})
		if i%3 == 0 {
			w.seal()
		}
	}
	var keys string
	for after := ""; ; after = keys[len(keys)-2:] {
		page := w.state.RecentByIndex("i1", after, 2)
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			keys += r.Key
		}
	}
	if keys != "k0k1k2k3k4k5k6k7k8" || len(w.state.RecentByIndex("i1", "", 0)) != 0 {
		t.Errorf("pages of records come to %s", keys)
	}
	if page := w.state.Outbox(3, 2); len(page) != 2 || page[0].Seq != 4 || len(w.state.Outbox(1<<64-1, 2)) != 0 {
		t.Errorf("page of the outbox after 3 is %+v", page)
	}
	rows := w.state.RecentRows(testAccount(2), 0, 3)
	older := w.state.RecentRows(testAccount(2), rows[2].Time, 100)
	if len(rows) != 3 || len(older) != 7 || older[0].Time >= rows[2].Time {
		t.Errorf("pages of rows have %d and %d", len(rows), len(older))
	}
}
