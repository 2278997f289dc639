package transit

import (
	"fmt"
	"strings"
	"testing"

	"holdfast"
	"holdfast/ledger"
)

// shards of the tests: the shard of an owner is its slot plus one.
func shardOf(o holdfast.Owner) holdfast.ShardID { return holdfast.ShardID(o.Slot() + 1) }

func noHold(*holdfast.Transfer) []Held { return nil }

// one makes a HoldsOf of what knows at most one hold of an id.
func one(holdOf func(holdfast.ID) (Held, bool)) HoldsOf {
	return func(end *holdfast.Transfer) []Held {
		if h, ok := holdOf(end.Hold); ok {
			return []Held{h}
		}
		return nil
	}
}

// account is one of shard s: "1a" is wallet a of shard 1.
func account(name string) holdfast.AccountID {
	owner, err := holdfast.NewOwner(7, holdfast.Slot(name[0]-'1'))
	if err != nil {
		panic(err)
	}
	return holdfast.AccountID{Owner: owner, Purpose: holdfast.MustPurpose(name[1:]), Asset: holdfast.MustAsset("CNY")}
}

func id(n int) holdfast.ID { return holdfast.IDOf(0x0190f3c6_2a3b_7c4d, 0x8e5f_000000000000|uint64(n)) }

// txn reads "1a>2b 5; hold 1a>1c 3; post 9 2": legs get the ids 101, 102, ... when there is more than one.
func txn(n int, text string) *holdfast.Txn {
	t := &holdfast.Txn{ID: id(n)}
	for i, op := range strings.Split(text, ";") {
		words := strings.Fields(op)
		leg := holdfast.Transfer{Kind: holdfast.Immediate}
		kinds := map[string]holdfast.Kind{"hold": holdfast.Hold, "post": holdfast.Post, "void": holdfast.Void}
		if kind, ok := kinds[words[0]]; ok {
			leg.Kind, words = kind, words[1:]
		}
		amount := 0
		if debit, credit, ok := strings.Cut(words[0], ">"); ok {
			leg.Debit, leg.Credit = account(debit), account(credit)
		} else {
			fmt.Sscan(words[0], &amount)
			leg.Hold = id(amount)
		}
		if amount = 0; len(words) > 1 {
			fmt.Sscan(words[1], &amount)
		}
		leg.Amount = holdfast.Amount(amount)
		if strings.Contains(text, ";") {
			leg.ID = id(100*n + i + 1)
		}
		t.Transfers = append(t.Transfers, leg)
	}
	return t
}

// TestMake has a row for everything that can be said of a transaction.
func TestMake(t *testing.T) {
	held := func(hold holdfast.ID) (Held, bool) {
		switch hold {
		case id(9): // crosses from 1 to 2
			return Held{Home: 1, Away: 2, Debit: account("1a"), Payee: account("2b"), Amount: 10}, true
		case id(8):
			return Held{Home: 1, Away: 1}, true
		case id(6): // made to cross, and the payee has come home since
			return Held{Home: 1, Away: 3, Debit: account("1a"), Payee: account("1b"), Amount: 10, Vow: true}, true
		case id(5): // the same, with a payee who is elsewhere now
			return Held{Home: 1, Away: 1, Debit: account("1a"), Payee: account("2b"), Amount: 10, Vow: true}, true
		}
		return Held{}, false
	}
	for _, c := range []struct{ text, want string }{
		{"1a>1b 5", "home 1"},
		{"1a>1b 5; 1b>1c 5", "home 1"},
		{"hold 1a>1b 5", "home 1"},
		{"1a>2b 5", "home 1 away 2: cross"},
		{"2a>1b 5", "home 2 away 1: cross"},
		{"1a>2b 5; 1a>1c 1", "home 1 away 2: cross local"},
		{"1a>1c 1; 1a>2b 5; 2b>2c 2", "home 1 away 2: local cross far"},
		{"2b>2c 2; 1a>2b 5", "home 1 away 2: far cross"},
		{"1a>1c 1; 2b>2c 2", "home 1 away 2: local far"},
		{"1a>2b 5; 2b>1c 1", "shard-mismatch transfers[1].debit"},
		{"1a>2b 5; 1a>3c 1", "shard-mismatch transfers[1].credit"},
		{"1a>2b 5; 3a>2c 1", "shard-mismatch transfers[1].debit"},
		{"1a>2b 5; 3a>3c 1", "shard-mismatch transfers[1].debit"},
		{"1a>2b 5; hold 1a>1c 1", "shard-mismatch transfers[1].kind"},
		{"1a>2b 5; hold 1a>2c 1", "shard-mismatch transfers[1].kind"},
		{"1a>2b 5; void 8", "shard-mismatch transfers[1].kind"},
		{"1a>2b 5; void 9", "shard-mismatch transfers[1].kind"},
		{"hold 1a>2b 5", "home 1: vow"},
		{"hold 1a>2b 5; 1a>1c 1; hold 1a>1c 2", "home 1: vow as-is as-is"},
		{"hold 1a>2b 5; hold 2a>2c 2", "shard-mismatch transfers[1].debit"},
		{"hold 1a>1b 5; hold 2a>2c 2", "shard-mismatch transfers[1].debit"},
		{"hold 1a>2b 5; 2a>2c 2", "shard-mismatch transfers[0].kind"},
		{"post 9", "home 1 away 2: claim"},
		{"post 9 4; 1a>1c 1", "home 1 away 2: claim local"},
		{"post 9 4; 1a>2c 1", "home 1 away 2: claim cross"},
		{"post 9 4; 3a>3c 1", "shard-mismatch transfers[1].debit"},
		{"post 9 4; 2c>1a 1", "shard-mismatch transfers[1].debit"},
		{"void 9", "home 1: let"},
		{"void 9; 1a>1c 1", "home 1: let as-is"},
		{"post 8", "home 1: as-is"},
		{"void 8", "home 1: as-is"},
		{"void 8; 2a>2b 1", "shard-mismatch transfers[0].kind"},
		{"2a>2b 1; void 8", "shard-mismatch transfers[1].hold"},
		{"post 6", "home 1: collect"},
		{"post 6; 1a>1c 1", "home 1: collect as-is"},
		{"post 6 3; 1a>2c 1", "home 1 away 2: collect cross"},
		{"2a>1c 1; post 6", "shard-mismatch transfers[1].hold"},
		{"void 6", "home 1: let"},
		{"post 5", "home 1 away 2: claim"},
		{"post 7", "hold-missing transfers[0].hold"},
		{"hold 1a>1b 5; post 101", "home 1: as-is as-is"},
		{"hold 1a>2b 5; post 101", "shard-mismatch transfers[1].hold"},
	} {
		p, code, field := Make(txn(1, c.text), shardOf, one(held))
		if got := describe(&p, code, field); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}

func describe(p *Payment, code holdfast.Code, field string) string {
	if code != holdfast.CodeOK {
		return code.String() + " " + field
	}
	text := fmt.Sprintf("home %d", p.Home)
	if p.Crosses() {
		text += fmt.Sprintf(" away %d", p.Away)
	}
	names := [...]string{"as-is", "local", "cross", "far", "claim", "vow", "let", "collect"}
	for i := range p.legs {
		if i == 0 {
			text += ":"
		}
		text += " " + names[p.legs[i].class]
	}
	return text
}

// TestOnlyMoneyCrosses: what else a transaction carries is refused by name when a part of it lands elsewhere, and stays beside
// a hold, whose payee has nothing to say yet.
func TestOnlyMoneyCrosses(t *testing.T) {
	for field, add := range map[string]func(*holdfast.Txn){
		"preconditions[0].key": func(t *holdfast.Txn) { t.Preconditions = []holdfast.Precondition{{Key: "k"}} },
		"accounts[0].id": func(t *holdfast.Txn) {
			t.Accounts = []holdfast.AccountChange{{Op: holdfast.OpenAccount, ID: account("1n")}}
		},
		"records[0].key":    func(t *holdfast.Txn) { t.Records = []holdfast.RecordChange{{Key: "k"}} },
		"messages[0].topic": func(t *holdfast.Txn) { t.Messages = []holdfast.Message{{To: 1, Topic: "t"}} },
		"acks":              func(t *holdfast.Txn) { t.Acks = []uint64{1} },
	} {
		x := txn(1, "1a>2b 5")
		add(x)
		if _, code, at := Make(x, shardOf, noHold); code != holdfast.CodeShardMismatch || at != field {
			t.Errorf("%s: %s %s", field, code, at)
		}
		x = txn(1, "hold 1a>2b 5")
		add(x)
		if p, code, at := Make(x, shardOf, noHold); code != holdfast.CodeOK || p.Crosses() {
			t.Errorf("%s beside a hold: %s %s", field, code, at)
		}
	}
	x := txn(1, "hold 1a>2b 5")
	x.Accounts = []holdfast.AccountChange{{Op: holdfast.OpenAccount, ID: account("2n")}}
	if _, code, at := Make(x, shardOf, noHold); code != holdfast.CodeShardMismatch || at != "accounts[0].id" {
		t.Errorf("an account in the other shard: %s %s", code, at)
	}
}

// TestTooLarge finds the longest payment that fits into a message, and sees the next refused.
func TestTooLarge(t *testing.T) {
	x := &holdfast.Txn{ID: id(1)}
	for n := 1; ; n++ {
		x.Transfers = append(x.Transfers, holdfast.Transfer{
			ID: id(100 + n), Kind: holdfast.Immediate, Debit: account("1a"), Credit: account("2b"), Amount: 1,
		})
		p, code, field := Make(x, shardOf, noHold)
		if code == holdfast.CodeOK {
			if depart := p.Depart(); len(depart.Messages[0].Body) > holdfast.MaxRecordBody {
				t.Fatalf("%d transfers: a body of %d bytes", n, len(depart.Messages[0].Body))
			}
			continue
		}
		if code != holdfast.CodeTxnTooLarge || field != "transfers" || n < 900 {
			t.Errorf("%d transfers: %s %s", n, code, field)
		}
		return
	}
}

// TestWhatIsProposed shows the three transactions of one payment with every kind of leg.
func TestWhatIsProposed(t *testing.T) {
	x := txn(1, "1a>1c 1; 1a>2b 5; 2b>2c 2")
	x.Transfers[1].Ref, x.Transfers[1].Code = holdfast.Ref(id(77)), 6
	p, _, _ := Make(x, shardOf, noHold)
	cny := holdfast.MustAsset("CNY")
	depart, land := p.Depart(), p.Land()
	wantDepart := holdfast.Txn{
		ID:       id(1),
		Accounts: []holdfast.AccountChange{{Op: holdfast.OpenAccount, ID: holdfast.InTransit(1, 2, cny)}},
		Transfers: []holdfast.Transfer{
			{ID: id(101).Shadow(), Kind: holdfast.Hold, Debit: account("1a"), Credit: account("1c"), Amount: 1},
			{
				ID: id(102).Shadow(), Kind: holdfast.Hold, Debit: account("1a"), Credit: holdfast.InTransit(1, 2, cny), Amount: 5,
				Code: 6, Ref: holdfast.Ref(id(77)),
			},
		},
		Messages: []holdfast.Message{{To: 2, Topic: Topic, Body: depart.Messages[0].Body}},
	}
	same(t, "depart", &depart, &wantDepart)
	wantLand := holdfast.Txn{
		ID:       id(1).Shadow(),
		Accounts: []holdfast.AccountChange{{Op: holdfast.OpenAccount, ID: holdfast.InTransit(2, 1, cny)}},
		Transfers: []holdfast.Transfer{
			{
				ID: id(102).Shadow(), Kind: holdfast.Immediate, Debit: holdfast.InTransit(2, 1, cny), Credit: account("2b"), Amount: 5,
				Code: 6, Ref: holdfast.Ref(id(77)),
			},
			{ID: id(103).Shadow(), Kind: holdfast.Immediate, Debit: account("2b"), Credit: account("2c"), Amount: 2},
		},
	}
	same(t, "land", &land, &wantLand)
	for fate, kind := range map[Fate]holdfast.Kind{Landed: holdfast.Post, Refused: holdfast.Void} {
		settle := p.Settle(fate, 4)
		want := holdfast.Txn{ID: own("settle", id(1)), Acks: []uint64{4}, Transfers: []holdfast.Transfer{
			{ID: own("settle leg", id(101)), Kind: kind, Hold: id(101).Shadow()},
			{ID: own("settle leg", id(102)), Kind: kind, Hold: id(102).Shadow()},
		}}
		same(t, "settle", &settle, &want)
	}
}

func same(t *testing.T, what string, got, want *holdfast.Txn) {
	t.Helper()
	if string(ledger.AppendTxn(nil, got)) != string(ledger.AppendTxn(nil, want)) {
		t.Errorf("%s is\n%+v\nwant\n%+v", what, got, want)
	}
}

// TestCallersCannotMakeThem: no id that the platform makes is one that passes at the edge.
func TestCallersCannotMakeThem(t *testing.T) {
	p, _, _ := Make(txn(1, "1a>2b 5; 1a>1c 3"), shardOf, noHold)
	depart, land, settle := p.Depart(), p.Land(), p.Settle(Landed, 1)
	if code, _ := ledger.Check(&depart); code == holdfast.CodeOK {
		t.Error("a caller may send a depart")
	}
	for _, x := range []*holdfast.Txn{&land, &settle} {
		if !x.ID.Reserved() {
			t.Errorf("a caller may take the id %s", x.ID)
		}
	}
	for _, x := range []*holdfast.Txn{&depart, &land, &settle} {
		for i := range x.Transfers {
			if !x.Transfers[i].ID.Reserved() || x.Transfers[i].Kind == holdfast.Post && !x.Transfers[i].Hold.Reserved() {
				t.Errorf("a caller may take the ids of %+v", x.Transfers[i])
			}
		}
	}
	if a, b := own("settle", id(1)), own("settle", id(2)); a == b || a.IsShadow() || a.Shadow() == id(1).Shadow() {
		t.Errorf("ids of two payments meet: %s %s", a, b)
	}
}
