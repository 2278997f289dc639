package transit

import (
	"bytes"
	"errors"
	"testing"

	"holdfast"
)

// payments is one of every kind that crosses.
func payments() []Payment {
	held := func(hold holdfast.ID) (Held, bool) {
		h := Held{Home: 1, Away: 2, Debit: account("1a"), Payee: account("2b"), Amount: 10, Vow: true}
		if hold == id(6) {
			h.Payee = account("1b") // has come home
		}
		return h, true
	}
	var list []Payment
	for _, text := range []string{"1a>2b 5", "1a>1c 1; 1a>2b 5; 2b>2c 2", "post 9", "post 9 4; 1a>2c 2", "1a>1c 1; 2b>2c 2", "post 6 4; 1a>2c 2"} {
		p, code, field := Make(txn(1, text), shardOf, one(held))
		if code != holdfast.CodeOK || !p.Crosses() {
			panic(text + " does not cross: " + code.String() + " " + field)
		}
		list = append(list, p)
	}
	return list
}

// TestMessageSaysItAll: what is read from the outbox lands and settles as what was sent.
func TestMessageSaysItAll(t *testing.T) {
	for _, p := range payments() {
		depart := p.Depart()
		body := depart.Messages[0].Body
		back, err := Read(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]holdfast.Txn{{p.Land(), back.Land()}, {p.Settle(Landed, 3), back.Settle(Landed, 3)}, {p.Settle(Refused, 3), back.Settle(Refused, 3)}} {
			same(t, "after reading it", &pair[1], &pair[0])
		}
		if again := back.append(nil); !bytes.Equal(again, body) || back.Home != p.Home || back.Away != p.Away {
			t.Errorf("%s is written as\n%x, and again as\n%x", p.Txn.ID, body, again)
		}
		for n := range len(body) {
			if _, err := Read(body[:n]); !errors.Is(err, ErrMessage) {
				t.Fatalf("%d of %d bytes are read: %v", n, len(body), err)
			}
		}
		if _, err := Read(append(bytes.Clone(body), 0)); !errors.Is(err, ErrMessage) {
			t.Errorf("a byte too many is read: %v", err)
		}
	}
}

func TestMessageThatNobodyWrote(t *testing.T) {
	good := payments()[0].append(nil)
	for what, spoil := range map[string]func(b []byte) []byte{
		"version 2":             func(b []byte) []byte { b[0] = 2; return b },
		"to itself":             func(b []byte) []byte { b[4] = b[2]; return b },
		"shard 0":               func(b []byte) []byte { b[2] = 0; return b },
		"shard 1001":            func(b []byte) []byte { b[3], b[4] = 3, 0xe9; return b },
		"a class of home alone": func(b []byte) []byte { b[messageHeader] = byte(vow); return b },
		"an unknown class":      func(b []byte) []byte { b[messageHeader] = 99; return b },
		"nothing that lands":    func(b []byte) []byte { b[messageHeader] = byte(local); return b },
		"more classes than legs": func(b []byte) []byte {
			b[8] = 2
			return append(b[:messageHeader:messageHeader], append([]byte{2}, b[messageHeader:]...)...)
		},
		"the id of somebody else": func(b []byte) []byte { b[messageHeader+1+1+8] |= 0x40; return b },
	} {
		if p, err := Read(spoil(bytes.Clone(good))); !errors.Is(err, ErrMessage) {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
	}
}

func FuzzMessage(f *testing.F) {
	for _, p := range payments() {
		f.Add(p.append(nil))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := Read(body)
		if err != nil {
			return
		}
		if again := p.append(nil); !bytes.Equal(again, body) {
			t.Errorf("%x is read, and written as %x", body, again)
		}
		p.Land()
		p.Settle(Refused, 1)
	})
}

func TestRecordOfAHold(t *testing.T) {
	p, _, _ := Make(txn(5, "hold 1a>2b 7"), shardOf, noHold)
	depart := p.Depart()
	if len(depart.Records) != 1 || depart.Records[0].Key != HeldKey(id(5)) || depart.Records[0].Expect != 0 {
		t.Fatalf("the records are %+v", depart.Records)
	}
	h, err := ReadHeld(depart.Records[0].Body)
	if want := (Held{Home: 1, Away: 2, Debit: account("1a"), Payee: account("2b"), Amount: 7, Vow: true}); err != nil || h != want {
		t.Errorf("the hold is %+v, %v; want %+v", h, err, want)
	}
	h.As = own("test", id(5))
	if back, err := ReadHeld(h.Body()); err != nil || back != h {
		t.Errorf("the moved hold is %+v, %v; want %+v", back, err, h)
	}
	if _, err := ReadHeld(depart.Records[0].Body[1:]); !errors.Is(err, ErrMessage) {
		t.Errorf("a short record is read: %v", err)
	}
}
