package transit

import (
	"slices"
	"testing"

	"holdfast"
	"holdfast/ledger"
)

// chart is a Directory of the tests: the shards of shardOf, but for owners that have moved.
type chart map[holdfast.Slot][]Origin // the last is where it is now

func (c chart) ShardOf(o holdfast.Owner) holdfast.ShardID {
	if been := c[o.Slot()]; len(been) > 0 {
		return been[len(been)-1].Shard
	}
	return shardOf(o)
}

func (c chart) Origins(slot holdfast.Slot) []Origin {
	if been := c[slot]; len(been) > 0 {
		return been[:len(been)-1]
	}
	return nil
}

func make1(t *testing.T, text string) Payment {
	t.Helper()
	p, code, field := Make(txn(1, text), shardOf, noHold)
	if code != holdfast.CodeOK {
		t.Fatalf("%s: %s %s", text, code, field)
	}
	return p
}

// TestWhereto: a payment lands where its payees are, and if they are in several shards it is the first one's that refuses it.
func TestWhereto(t *testing.T) {
	moved := chart{1: {{Shard: 2, Index: 7}, {Shard: 3}}} // the owners of shard 2 are in shard 3 now
	home := chart{1: {{Shard: 2, Index: 7}, {Shard: 1}}}
	twice := chart{1: {{Shard: 2, Index: 7}, {Shard: 4, Index: 9}, {Shard: 3}}}
	for _, c := range []struct {
		text   string
		chart  chart
		to     holdfast.ShardID
		whole  bool
		places []holdfast.ShardID
	}{
		{"1a>2b 5", nil, 2, true, []holdfast.ShardID{2}},
		{"1a>2b 5", moved, 3, true, []holdfast.ShardID{2, 3}},
		{"1a>2b 5", home, 1, true, []holdfast.ShardID{2, 1}},
		{"1a>2b 5", twice, 3, true, []holdfast.ShardID{2, 4, 3}},
		{"1a>2b 5; 2b>2c 1; 1a>1c 2", moved, 3, true, []holdfast.ShardID{2, 3}},
	} {
		p := make1(t, c.text)
		to, whole := p.Whereto(c.chart)
		if places := p.Places(c.chart); to != c.to || whole != c.whole || !slices.Equal(places, c.places) {
			t.Errorf("%s lands in %d (%v), one of %v; want %d (%v), one of %v", c.text, to, whole, places, c.to, c.whole, c.places)
		}
	}
	// The second payee is in a slot of its own, which was in shard 2 and is in shard 4 now.
	ask := txn(1, "1a>2b 5; 1a>2c 1")
	ask.Transfers[1].Credit.Owner, _ = holdfast.NewOwner(7, 9)
	p, code, field := Make(ask, chart{9: {{Shard: 2}}}.ShardOf, noHold)
	if code != holdfast.CodeOK {
		t.Fatalf("%s %s", code, field)
	}
	if to, whole := p.Whereto(chart{9: {{Shard: 2, Index: 5}, {Shard: 4}}}); to != 2 || whole {
		t.Errorf("with payees in two shards it lands in %d (%v)", to, whole)
	}
}

// TestRefusal: what stands for a land that cannot be is refused whatever there is, and answered as between three shards.
func TestRefusal(t *testing.T) {
	for _, text := range []string{"1a>2b 5", "2b>2c 2; 1a>2b 5"} {
		p := make1(t, text)
		refusal := p.Refusal()
		if code, field := ledger.CheckLogged(&refusal); code != holdfast.CodeOK {
			t.Fatalf("%s: the refusal is malformed: %s %s", text, code, field)
		}
		if refusal.ID != p.LandID() || !p.IsLand(&refusal) {
			t.Errorf("%s: the refusal does not stand for the land", text)
		}
		s := ledger.New()
		entry := ledger.AppendTxn(ledger.AppendHeader(nil, ledger.Header{Kind: ledger.KindTxns, Time: 5, Count: 1}), &refusal)
		out, err := s.Apply(1, entry, journal{entry}, nil)
		if err != nil || out[0].Status != holdfast.Refused {
			t.Fatalf("%s: the refusal is answered %+v, %v", text, out, err)
		}
		o := p.Outcome(done(3), out[0])
		if o.Status != holdfast.Refused || o.Code != holdfast.CodeShardMismatch {
			t.Errorf("%s: the caller is told %+v", text, o)
		}
	}
}

// TestLandAtHome: a payee who has come to the payer's shard is paid through its own account there, under an id of its own.
func TestLandAtHome(t *testing.T) {
	p := make1(t, "1a>2b 5")
	q := p.At(1)
	land, depart := q.Land(), p.Depart()
	if land.ID == p.LandID() || land.ID == depart.Transfers[0].ID || !land.ID.Reserved() {
		t.Errorf("it lands at home as %s", land.ID)
	}
	if want := holdfast.InTransit(1, 1, holdfast.MustAsset("CNY")); land.Transfers[0].Debit != want {
		t.Errorf("it comes from %s, not from %s", land.Transfers[0].Debit, want)
	}
	if code, field := ledger.CheckLogged(&land); code != holdfast.CodeOK {
		t.Errorf("the land is malformed: %s %s", code, field)
	}
	if other := p.At(3); other.LandID() != p.LandID() {
		t.Error("a land away has another id than before")
	}
}

// TestAgain: what a shard remembers is asked for again as it stands there, and what differs is left for the shard to say.
func TestAgain(t *testing.T) {
	held := func(hold holdfast.ID) (Held, bool) {
		switch hold {
		case id(9):
			return Held{Home: 1, Away: 2, Debit: account("1a"), Payee: account("2b"), Amount: 10, Vow: true}, true
		case id(6):
			return Held{Home: 1, Away: 1, Debit: account("1a"), Payee: account("1b"), Amount: 10, Vow: true}, true
		case id(5): // has moved
			return Held{Home: 1, Away: 1, Debit: account("1a"), Payee: account("1b"), Amount: 10, Vow: true, As: own("test", hold)}, true
		}
		return Held{}, false
	}
	for _, text := range []string{
		"1a>1b 5", "1a>2b 5", "1a>2b 5; 1a>1c 2", "hold 1a>2b 5", "hold 1a>2b 5; 1a>1c 1", "post 9", "post 9 3", "void 9", "post 6", "post 6 3", "post 6; 1a>1c 1",
		"post 5", "post 5 3", "void 5", "post 5; 1a>2c 2",
	} {
		p, code, field := Make(txn(1, text), shardOf, one(held))
		if code != holdfast.CodeOK {
			t.Fatalf("%s: %s %s", text, code, field)
		}
		stored := p.Depart()
		q, err := Again(&stored, txn(1, text), 1, one(held))
		if err != nil {
			t.Fatal(err)
		}
		depart := q.Depart()
		same(t, text, &depart, &stored)
		if q.Home != 1 || q.Crosses() != p.Crosses() {
			t.Errorf("%s: home %d, crosses %v", text, q.Home, q.Crosses())
		}
		other := txn(1, text)
		other.Transfers[0].Code = 77
		if q, err = Again(&stored, other, 1, one(held)); err != nil || q.Crosses() || q.Txn != other {
			t.Errorf("%s, altered: %+v, %v", text, q, err)
		}
	}
}

// TestEndedBehind: a post of a hold that had ended when its payer left goes to the shard where it ended, and names no account
// there; of one that may be open nothing is posted to an in-transit account.
func TestEndedBehind(t *testing.T) {
	for _, ended := range []bool{false, true} {
		held := func(holdfast.ID) (Held, bool) {
			return Held{Home: 2, Away: 3, Debit: account("1a"), Payee: account("3b"), Amount: 10, Vow: true, Ended: ended}, true
		}
		p, code, field := Make(txn(1, "post 9"), shardOf, one(held))
		if code != holdfast.CodeOK || p.Home != 2 {
			t.Fatalf("home %d, %s %s", p.Home, code, field)
		}
		depart := p.Depart()
		if first := depart.Transfers[0]; (first.Kind == holdfast.Post) != ended || first.Hold != id(9).Shadow() {
			t.Errorf("ended %v: it departs as %+v", ended, depart.Transfers)
		}
	}
}

// TestMeant has a row for everything that the end of a hold can say when several holds go by its id.
func TestMeant(t *testing.T) {
	hold := func(home int, debit, payee string, ended bool) Held {
		return Held{Home: holdfast.ShardID(home), Debit: account(debit), Payee: account(payee), Ended: ended}
	}
	end := func(debit, credit string) *holdfast.Transfer {
		t := &holdfast.Transfer{Kind: holdfast.Void, Hold: id(9)}
		if debit != "" {
			t.Debit = account(debit)
		}
		if credit != "" {
			t.Credit = account(credit)
		}
		return t
	}
	none := []Held(nil)
	single := []Held{hold(1, "1a", "1b", false)}
	payers := []Held{hold(1, "1a", "1b", true), hold(2, "2a", "2b", false)}
	payees := []Held{hold(1, "1a", "2b", false), hold(1, "1a", "1b", false), hold(2, "2a", "2b", false)}
	twins := []Held{hold(1, "1a", "1b", true), hold(2, "1a", "1b", false), hold(3, "1a", "1b", false)}
	moving := []Held{hold(1, "1a", "1b", false), {Home: 2, Debit: account("1a"), Payee: account("1b"), Vow: true}}
	ends := []Held{hold(2, "1a", "1b", true), hold(1, "1a", "1b", true)}
	for _, c := range []struct {
		what          string
		list          []Held
		debit, credit string
		want          int // place in the list; -1: none is found
		missing       string
	}{
		{"no hold", none, "", "", -1, ""},
		{"no hold, named", none, "1a", "1b", -1, ""},
		{"the only one", single, "", "", 0, ""},
		{"the only one, named", single, "1a", "1b", 0, ""},
		{"the only one, named wrongly: its shard refuses", single, "2a", "", 0, ""},
		{"two payers, although one has ended", payers, "", "", 0, "debit"},
		{"two payers, the first", payers, "1a", "", 0, ""},
		{"two payers, the second", payers, "2a", "", 1, ""},
		{"two payers, by the payee", payers, "", "2b", 1, ""},
		{"two payers, neither", payers, "3a", "", 0, ""},
		{"two payees", payees, "1a", "", 0, "credit"},
		{"two payees, and another payer", payees, "", "", 0, "debit"},
		{"two payees, named", payees, "1a", "1b", 1, ""},
		{"two payees of two payers", payees, "", "2b", 0, "debit"},
		{"the same accounts: the one that is open", twins, "", "", 1, ""},
		{"the same accounts, named", twins, "1a", "1b", 1, ""},
		{"the same hold, on its way to another shard", moving, "", "", 1, ""},
		{"the same accounts, both ended", ends, "", "", 0, ""},
	} {
		held, found, missing := Meant(c.list, end(c.debit, c.credit))
		if found != (c.want >= 0) || missing != c.missing || found && held != c.list[c.want] {
			t.Errorf("%s: %+v, %v, %q", c.what, held, found, missing)
		}
	}
}

// TestAnEndIsAskedForWhereItWasDecided: a post that was done, or refused, before a second hold of that id was known is asked for again
// where it was, whatever it could mean by now; one that nobody knows has to say which it means.
func TestAnEndIsAskedForWhereItWasDecided(t *testing.T) {
	holds := func(*holdfast.Transfer) []Held {
		return []Held{
			{Home: 1, Away: 1, Debit: account("1a"), Payee: account("1b"), Amount: 10, Ended: true},
			{Home: 2, Away: 2, Debit: account("2a"), Payee: account("2b"), Amount: 10},
		}
	}
	post := txn(1, "post 9")
	for _, c := range []struct {
		stored holdfast.ShardID // 0: no shard has it
		deaf   holdfast.ShardID
		ok     bool
		home   holdfast.ShardID
		code   holdfast.Code
	}{
		{stored: 1, ok: true, home: 1},
		{stored: 2, ok: true, home: 2},
		{ok: true, code: holdfast.CodeHoldAmbiguous},
		{deaf: 2, ok: false},
		{stored: 1, deaf: 2, ok: true, home: 1},
	} {
		asked := 0
		p, code, field, ok := Route(post, chart{}, holds, func(o Origin, of holdfast.ID) (*holdfast.Txn, bool, bool) {
			if asked++; of != post.ID || o.Index != 0 {
				t.Errorf("shard %d is asked for %s as of %d", o.Shard, of, o.Index)
			}
			return post, o.Shard == c.stored, o.Shard != c.deaf
		})
		if ok != c.ok || p.Home != c.home || code != c.code || asked == 0 || (code != holdfast.CodeOK) != (field == "transfers[0].debit") {
			t.Errorf("%+v: home %d, %s %s, %v, %d asked", c, p.Home, code, field, ok, asked)
		}
	}
	named := txn(1, "post 9")
	named.Transfers[0].Debit = account("2a")
	p, code, _, ok := Route(named, chart{}, holds, func(Origin, holdfast.ID) (*holdfast.Txn, bool, bool) { return nil, false, true })
	if !ok || code != holdfast.CodeOK || p.Home != 2 {
		t.Errorf("with its payer it goes to %d: %s", p.Home, code)
	}
}

// TestReadHolds: a shard may have several records about one id, and they are read in their order.
func TestReadHolds(t *testing.T) {
	first, second := Held{Home: 2, Away: 1, Debit: account("1a"), Payee: account("2b"), Amount: 1}, Held{Home: 1, Away: 3, Debit: account("1b"), Payee: account("3b"), Amount: 2}
	records := map[string]holdfast.Record{
		HeldKey(id(9)):        {Version: 4, Body: first.Body()},
		HeldKey(id(9)) + "/1": {Version: 1, Body: second.Body()},
		HeldKey(id(9)) + "/3": {Version: 1, Body: second.Body()}, // behind a gap, which there never is
		HeldKey(id(8)):        {Version: 1, Body: second.Body()},
	}
	list, err := ReadHolds(id(9), func(key string) (holdfast.Record, bool, error) {
		r, found := records[key]
		return r, found, nil
	})
	if err != nil || len(list) != 2 || list[0].Home != 2 || list[0].Version != 4 || list[1].Amount != 2 || list[1].Key != HeldKeyOf(id(9), 1) {
		t.Errorf("%+v, %v", list, err)
	}
}
