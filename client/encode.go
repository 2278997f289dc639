package client

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"holdfast"
)

// Bodies are written by hand: a load generator shares its processor with what it measures.

var opNames = [...]string{"", "open", "freeze", "thaw", "close"}

// object writes the members of a JSON object, with commas between them.
type object struct{ b []byte }

func (o *object) name(name string) {
	if o.b[len(o.b)-1] != '{' {
		o.b = append(o.b, ',')
	}
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

// plain writes a text of our own making, which needs no escapes; "" is left out.
func (o *object) plain(name, text string) {
	if text != "" {
		o.name(name)
		o.b = append(append(append(o.b, '"'), text...), '"')
	}
}

func (o *object) number(name string, n int64) {
	o.name(name)
	o.b = strconv.AppendInt(o.b, n, 10)
}

func (o *object) numberUnlessZero(name string, n int64) {
	if n != 0 {
		o.number(name, n)
	}
}

// text writes any text as a JSON string.
func (o *object) text(name, text string) {
	o.name(name)
	o.b = appendString(o.b, text)
}

func (o *object) base64(name string, b []byte) {
	if len(b) > 0 {
		o.plain(name, base64.StdEncoding.EncodeToString(b))
	}
}

func (o *object) id(name string, id holdfast.ID) {
	if !id.IsZero() {
		o.plain(name, id.String())
	}
}

func (o *object) account(name string, id holdfast.AccountID) {
	if id != (holdfast.AccountID{}) {
		o.plain(name, id.String())
	}
}

// list writes an array of n elements; "" it is left out when n is 0.
func (o *object) list(name string, n int, element func(i int) error) error {
	if n == 0 {
		return nil
	}
	o.name(name)
	o.b = append(o.b, '[')
	for i := range n {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		if err := element(i); err != nil {
			return fmt.Errorf("%s[%d]: %w", name, i, err)
		}
	}
	o.b = append(o.b, ']')
	return nil
}

func (o *object) open()  { o.b = append(o.b, '{') }
func (o *object) close() { o.b = append(o.b, '}') }

func appendTxns(b []byte, txns []holdfast.Txn) ([]byte, error) {
	o := object{append(b, '{')}
	err := o.list("transactions", len(txns), func(i int) (err error) {
		o.b, err = appendTxn(o.b, &txns[i])
		return err
	})
	o.close()
	return o.b, err
}

func appendTxn(b []byte, t *holdfast.Txn) ([]byte, error) {
	if len(t.Acks) > 0 {
		return b, fmt.Errorf("transaction %s acknowledges messages: use Client.Acknowledge for that", t.ID)
	}
	o := object{append(b, '{')}
	o.id("id", t.ID)
	err := o.lists(t)
	o.close()
	return o.b, err
}

func (o *object) lists(t *holdfast.Txn) error {
	for _, l := range []struct {
		name string
		n    int
		one  func(i int) error
	}{
		{"preconditions", len(t.Preconditions), func(i int) error { return o.precondition(&t.Preconditions[i]) }},
		{"accounts", len(t.Accounts), func(i int) error { return o.accountOp(&t.Accounts[i]) }},
		{"transfers", len(t.Transfers), func(i int) (err error) { o.b, err = appendTransfer(o.b, &t.Transfers[i]); return err }},
		{"records", len(t.Records), func(i int) error { return o.record(&t.Records[i]) }},
		{"messages", len(t.Messages), func(i int) error { return o.message(&t.Messages[i]) }},
	} {
		if err := o.list(l.name, l.n, l.one); err != nil {
			return err
		}
	}
	return nil
}

func appendTransfer(b []byte, t *holdfast.Transfer) ([]byte, error) {
	if t.Timeout%time.Second != 0 {
		return b, fmt.Errorf("the timeout %s of a hold is not a whole number of seconds", t.Timeout)
	}
	o := object{append(b, '{')}
	o.id("id", t.ID)
	if t.Kind != holdfast.Immediate {
		o.plain("kind", t.Kind.String())
	}
	o.account("debit", t.Debit)
	o.account("credit", t.Credit)
	o.numberUnlessZero("amount", int64(t.Amount))
	o.id("hold", t.Hold)
	o.numberUnlessZero("timeout_s", int64(t.Timeout/time.Second))
	o.numberUnlessZero("code", int64(t.Code))
	o.plain("ref", t.Ref.String())
	o.close()
	return o.b, nil
}

func (o *object) accountOp(a *holdfast.AccountChange) error {
	if int(a.Op) >= len(opNames) {
		return fmt.Errorf("account operation %d is not known", a.Op)
	}
	o.open()
	o.plain("op", opNames[a.Op])
	o.account("id", a.ID)
	o.plain("limit", limitName(a.Limit))
	o.numberUnlessZero("code", int64(a.Code))
	o.plain("ref", a.Ref.String())
	o.close()
	return nil
}

// limitName leaves the default out: only opening has a limit.
func limitName(l holdfast.Limit) string {
	if l == holdfast.LimitNone {
		return ""
	}
	return l.String()
}

func (o *object) precondition(p *holdfast.Precondition) error {
	o.open()
	o.text("key", p.Key)
	o.name("version")
	o.b = strconv.AppendUint(o.b, p.Version, 10)
	o.close()
	return nil
}

func (o *object) record(r *holdfast.RecordChange) error {
	o.open()
	o.text("key", r.Key)
	if r.Expect != holdfast.AnyVersion {
		o.name("expect")
		o.b = strconv.AppendUint(o.b, r.Expect, 10)
	}
	err := o.list("index", len(r.Index), func(i int) error {
		o.b = appendString(o.b, r.Index[i])
		return nil
	})
	o.base64("body", r.Body)
	if r.Delete {
		o.name("delete")
		o.b = append(o.b, "true"...)
	}
	o.close()
	return err
}

func (o *object) message(m *holdfast.Message) error {
	o.open()
	o.number("to", int64(m.To))
	o.text("topic", m.Topic)
	o.base64("body", m.Body)
	o.close()
	return nil
}

// appendString writes a JSON string (RFC 8259 section 7).
func appendString(b []byte, text string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
