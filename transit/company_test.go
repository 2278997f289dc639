package transit

import (
	"bytes"
	"slices"
	"testing"

	"holdfast"
	"holdfast/ledger"
)

// key is that of a record of the owner in a shard: "1x" is the record x of the one in shard 1.
func key(name string) string { return holdfast.OwnedKey(account(name[:1]+"a").Owner, name[1:]) }

func with(t *holdfast.Txn, needs, writes []string) *holdfast.Txn {
	for _, name := range needs {
		t.Preconditions = append(t.Preconditions, holdfast.Precondition{Key: key(name), Version: 4})
	}
	for _, name := range writes {
		t.Records = append(t.Records, holdfast.RecordChange{Key: key(name), Expect: 5, Index: []string{"i"}, Body: []byte(name)})
	}
	return t
}

func keys(t *holdfast.Txn) (list []string) {
	for _, p := range t.Preconditions {
		list = append(list, "need "+p.Key)
	}
	for _, r := range t.Records {
		list = append(list, [...]string{"write ", "carry ", "pend ", "keep ", "take back "}[r.Op]+r.Key)
	}
	return list
}

// TestRecordsTravel: what belongs to the owners of either side goes with the depart or the land, the settle ends what the depart has left
// pending, and the message says all of it.
func TestRecordsTravel(t *testing.T) {
	p, code, field := Make(with(txn(1, "1a>2b 5"), []string{"2n", "1n"}, []string{"1w", "2w", "1x"}), shardOf, noHold)
	if code != holdfast.CodeOK || !p.Crosses() || p.Home != 1 || p.Away != 2 {
		t.Fatalf("%+v: %s %s", p, code, field)
	}
	q, err := Read(p.append(nil))
	if err != nil || !bytes.Equal(q.append(nil), p.append(nil)) {
		t.Fatalf("the message is read as %+v: %v", q, err)
	}
	for _, p := range []*Payment{&p, &q} {
		for what, x := range map[string]struct {
			txn  holdfast.Txn
			want []string
		}{
			"depart":              {p.Depart(), []string{"need " + key("1n"), "pend " + key("1w"), "pend " + key("1x")}},
			"land":                {p.Land(), []string{"need " + key("2n"), "write " + key("2w")}},
			"settle":              {p.Settle(Landed, 1), []string{"keep " + key("1w"), "keep " + key("1x")}},
			"settle of a refusal": {p.Settle(Refused, 1), []string{"take back " + key("1w"), "take back " + key("1x")}},
		} {
			if got := keys(&x.txn); !slices.Equal(got, x.want) {
				t.Errorf("the %s has %v, want %v", what, got, x.want)
			}
			if code, field := ledger.CheckLogged(&x.txn); code != holdfast.CodeOK {
				t.Errorf("the %s is malformed: %s %s", what, code, field)
			}
		}
		if payers := p.Payers(); len(payers) != 4 || !p.Pends() {
			t.Errorf("until it is settled it concerns %v", payers)
		}
		if got := p.callerField("records[1].body"); got != "records[2].body" {
			t.Errorf("the second record of the depart is the caller's %s", got)
		}
	}
	for cut := range p.append(nil) {
		if _, err := Read(p.append(nil)[:cut]); err == nil {
			t.Errorf("%d bytes are read", cut)
		}
	}
	plain := make1(t, "1a>2b 5")
	if body := plain.append(nil); body[0] != messageVersion {
		t.Errorf("a payment without records has a message of version %d: earlier releases could not read it", body[0])
	}
}

// TestWhereRecordsFit: in one shard with everything else, or on one of the two sides of what lands.
func TestWhereRecordsFit(t *testing.T) {
	for _, c := range []struct {
		text   string
		needs  []string
		writes []string
		home   holdfast.ShardID
		field  string
	}{
		{"", nil, []string{"2w"}, 2, ""},
		{"", []string{"3n"}, []string{"3w"}, 3, ""},
		{"", []string{"3n"}, []string{"2w"}, 0, "records[0].key"},
		{"1a>1b 5", []string{"1n"}, []string{"1w"}, 1, ""},
		{"1a>1b 5", nil, []string{"1w", "2w"}, 0, "records[1].key"},
		{"1a>1b 5", []string{"2n"}, nil, 0, "preconditions[0].key"},
		{"hold 1a>2b 5", nil, []string{"1w"}, 1, ""},
		{"hold 1a>2b 5", nil, []string{"2w"}, 0, "records[0].key"},
		{"1a>2b 5", nil, []string{"2w", "3w"}, 0, "records[1].key"},
		{"1a>2b 5", []string{"3n"}, nil, 0, "preconditions[0].key"},
	} {
		x := &holdfast.Txn{ID: id(1)}
		if c.text != "" {
			x = txn(1, c.text)
		}
		p, code, field := Make(with(x, c.needs, c.writes), shardOf, noHold)
		if field != c.field || (code == holdfast.CodeOK) != (field == "") || code == holdfast.CodeOK && p.Home != c.home {
			t.Errorf("%q, %v, %v: in shard %d, %s %s; want %d %s", c.text, c.needs, c.writes, p.Home, code, field, c.home, c.field)
		}
	}
	x := with(txn(1, "1a>2b 5"), nil, []string{"1w"})
	x.Records[0] = holdfast.RecordChange{Key: key("1w"), Expect: 5, Delete: true}
	if _, code, field := Make(x, shardOf, noHold); code != holdfast.CodeShardMismatch || field != "records[0].delete" {
		t.Errorf("deleting at home: %s %s", code, field)
	}
	x.Records[0] = holdfast.RecordChange{Key: "trade/1"}
	if _, code, field := Make(x, shardOf, noHold); code != holdfast.CodeShardMismatch || field != "records[0].key" {
		t.Errorf("a record of nobody: %s %s", code, field)
	}
}

// TestARecordIsRefusedByItsName: a land whose records do not fit is refused with the code of that; one that has become impossible because its
// owners have parted says so, and touches nothing.
func TestARecordIsRefusedByItsName(t *testing.T) {
	p, _, _ := Make(with(txn(1, "1a>2b 5"), nil, []string{"2w"}), shardOf, noHold)
	done := holdfast.Outcome{Status: holdfast.Done}
	for land, want := range map[holdfast.Code]holdfast.Code{
		holdfast.CodeRecordMissing: holdfast.CodeRecordMissing, holdfast.CodeHoldMissing: holdfast.CodeShardMismatch,
		holdfast.CodeRecordVersionMismatch: holdfast.CodeRecordVersionMismatch,
	} {
		if o := p.Outcome(done, holdfast.Outcome{Status: holdfast.Refused, Code: land, Leg: holdfast.NoLeg}); o.Code != want || o.Status != holdfast.Refused {
			t.Errorf("refused as %s it is told as %+v, want %s", land, o, want)
		}
	}
	parted := chart{2: {{Shard: 3, Index: 7}, {Shard: 1}}}
	q, code, field := Make(with(txn(1, "1a>2b 5"), nil, []string{"2w"}), parted.ShardOf, noHold)
	if code != holdfast.CodeOK {
		t.Fatal(code, field)
	}
	parted[1] = []Origin{{Shard: 2, Index: 9}, {Shard: 4}}
	if to, whole := q.Whereto(parted); to != 4 || !whole {
		t.Errorf("both have moved: in %d, %v", to, whole)
	}
	refusal, s := q.Refusal(), ledger.New()
	data := ledger.AppendTxn(ledger.AppendHeader(nil, ledger.Header{Kind: ledger.KindTxns, Time: 1, Count: 1}), &refusal)
	out, err := s.Apply(1, data, journal{}, nil)
	if err != nil || out[0].Status != holdfast.Refused || out[0].Code != holdfast.CodeHoldMissing || !q.IsLand(&refusal) {
		t.Errorf("the refusal is %+v, %v", out, err)
	}
}

// TestAnywhere: what fits nowhere by this map was asked for where it fitted.
func TestAnywhere(t *testing.T) {
	asked := with(txn(1, "1a>1b 5"), nil, []string{"2w"})
	lookup := func(at holdfast.ShardID, known bool) Lookup {
		return func(o Origin, id holdfast.ID) (*holdfast.Txn, bool, bool) {
			return asked, o.Shard == at && id == asked.ID, known
		}
	}
	all := []holdfast.ShardID{1, 2, 3}
	if p, found, ok := Anywhere(asked, holdfast.CodeShardMismatch, all, noHold, lookup(3, true)); !found || !ok || p.Home != 3 {
		t.Errorf("%+v, %v, %v", p, found, ok)
	}
	if _, found, ok := Anywhere(asked, holdfast.CodeShardMismatch, all, noHold, lookup(4, true)); found || !ok {
		t.Errorf("found %v, %v", found, ok)
	}
	if _, found, ok := Anywhere(asked, holdfast.CodeShardMismatch, all, noHold, lookup(3, false)); found || ok {
		t.Errorf("without an answer: %v, %v", found, ok)
	}
	if _, found, ok := Anywhere(txn(1, "1a>1b 5"), holdfast.CodeShardMismatch, all, noHold, lookup(3, true)); found || !ok {
		t.Errorf("without records: %v, %v", found, ok)
	}
}
