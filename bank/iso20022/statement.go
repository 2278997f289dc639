package iso20022

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"reflect"
	"strconv"
	"time"

	"holdfast"
)

// StatementReader reads a camt.053 piece by piece: a statement of any length takes the memory of one entry.
//
//	r, err := NewStatementReader(file)
//	for head, err := r.Next(); err != io.EOF; head, err = r.Next() {
//		for line, err := range r.Lines() { ... }
//	}
type StatementReader struct {
	c       *checker
	d       *xml.Decoder
	head    ReportHeader
	current *StatementHead
	pending *xml.StartElement // the first entry
	within  bool              // entries of the current statement are left
	sum     tally
	failed  error
}

// tally is what the lines of a statement add up to.
type tally struct {
	count int
	sum   holdfast.Amount
}

// NewStatementReader reads up to the first statement.
func NewStatementReader(r io.Reader) (*StatementReader, error) {
	c := newChecker(r, spacePrefix+Camt053, shapeOf(reflect.TypeFor[statementDoc]()), true)
	s := &StatementReader{c: c, d: xml.NewTokenDecoder(c)}
	for _, want := range []string{"Document", "BkToCstmrStmt", "GrpHdr"} {
		t, err := s.element()
		if err == nil && (t == nil || t.Name.Local != want) {
			err = fmt.Errorf("no %s", want)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", Camt053, err)
		}
		if want == "GrpHdr" {
			if err := s.d.DecodeElement(&s.head, t); err != nil {
				return nil, fmt.Errorf("read %s: %w", Camt053, err)
			}
		}
	}
	return s, nil
}

// Header is that of the message.
func (s *StatementReader) Header() ReportHeader { return s.head }

// element is the next element that begins; nil when one ends before that.
func (s *StatementReader) element() (*xml.StartElement, error) {
	for {
		t, err := s.d.Token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			t = t.Copy()
			return &t, nil
		case xml.EndElement:
			return nil, nil
		}
	}
}

// Next goes on to the next statement, whatever is left of the present one; io.EOF when the message has ended as it should.
func (s *StatementReader) Next() (*StatementHead, error) {
	for _, err := range s.Lines() {
		if err != nil {
			return nil, err
		}
	}
	if s.failed != nil {
		return nil, s.failed
	}
	t, err := s.element()
	if err == nil && t == nil {
		return nil, s.fail(s.rest())
	}
	if err == nil {
		err = s.readHead()
	}
	if err != nil {
		return nil, s.fail(fmt.Errorf("read %s: %w", Camt053, err))
	}
	return s.current, nil
}

func (s *StatementReader) fail(err error) error {
	s.failed = err
	return err
}

// rest is what stands behind the last statement.
func (s *StatementReader) rest() error {
	for {
		t, err := s.d.Token()
		if err != nil {
			return err
		}
		if _, another := t.(xml.StartElement); another {
			return errors.New("something stands behind the last statement")
		}
	}
}

func (s *StatementReader) readHead() error {
	h := new(StatementHead)
	s.current, s.pending, s.within, s.sum = h, nil, false, tally{}
	for {
		t, err := s.element()
		if err != nil {
			return err
		}
		if t == nil {
			return h.check()
		}
		if t.Name.Local == "Ntry" {
			s.pending, s.within = t, true
			return h.check()
		}
		if err := s.d.DecodeElement(h.place(t.Name.Local), t); err != nil {
			return err
		}
	}
}

// place is where an element of the head belongs. Balances are a list: each has its own place.
func (h *StatementHead) place(name string) any {
	switch name {
	case "Id":
		return &h.ID
	case "ElctrncSeqNb":
		return &h.Sequence
	case "CreDtTm":
		return &h.Created
	case "FrToDt":
		h.Span = new(Span)
		return h.Span
	case "Acct":
		return &h.Account
	case "TxsSummry":
		h.Summary = new(Summary)
		return h.Summary
	}
	h.Balances = append(h.Balances, Balance{})
	return &h.Balances[len(h.Balances)-1]
}

func (h *StatementHead) check() error {
	if err := CheckID(h.ID); err != nil {
		return fmt.Errorf("statement %w", err)
	}
	if err := h.Account.ID.Check(); err != nil {
		return fmt.Errorf("statement %s: %w", h.ID, err)
	}
	if h.Sequence != "" {
		if _, err := strconv.ParseUint(h.Sequence, 10, 63); err != nil {
			return fmt.Errorf("statement %s: its sequence number %.20q is not a number", h.ID, h.Sequence)
		}
	}
	for i := range h.Balances {
		b := &h.Balances[i]
		if b.Direction != Credit && b.Direction != Debit {
			return fmt.Errorf("statement %s: direction %.10q of a balance is neither %s nor %s", h.ID, b.Direction, Credit, Debit)
		}
		if _, _, err := b.Amount.Minor(); err != nil {
			return fmt.Errorf("statement %s: balance: %w", h.ID, err)
		}
	}
	return nil
}

// Balance is the balance of a type, below 0 when the account is overdrawn; found is false when the statement has none.
func (h *StatementHead) Balance(which string) (amount holdfast.Amount, asset holdfast.Asset, found bool) {
	for i := range h.Balances {
		if b := &h.Balances[i]; b.Type.Which.Code == which {
			amount, asset, err := b.Amount.Minor()
			return signed(amount, b.Direction), asset, err == nil
		}
	}
	return 0, 0, false
}

// Day is the day that a balance of a type is of, its beginning in UTC.
func (h *StatementHead) Day(which string) (time.Time, error) {
	for i := range h.Balances {
		if b := &h.Balances[i]; b.Type.Which.Code == which {
			return b.Date.begin()
		}
	}
	return time.Time{}, fmt.Errorf("statement %s has no balance %s", h.ID, which)
}

// Lines are the booked transactions of the present statement, in the order of the bank's book. An error ends them, and the reader.
func (s *StatementReader) Lines() iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for s.within {
			lines, err := s.entry()
			if err != nil {
				s.within = false
				yield(Line{}, s.fail(fmt.Errorf("read %s: %w", Camt053, err)))
				return
			}
			for _, l := range lines {
				if !yield(l, nil) {
					return
				}
			}
		}
	}
}

func (s *StatementReader) entry() ([]Line, error) {
	if s.pending == nil {
		t, err := s.element()
		if err != nil {
			return nil, err
		}
		if t == nil {
			s.within = false
			return nil, nil
		}
		s.pending = t
	}
	var e Entry
	s.c.begin()
	if err := s.d.DecodeElement(&e, s.pending); err != nil {
		return nil, err
	}
	s.pending = nil
	lines, err := e.Lines()
	for _, l := range lines {
		var ok bool
		if s.sum.sum, ok = s.sum.sum.Add(l.Amount); !ok {
			return nil, errors.New("the entries add up to more than the largest amount there is")
		}
		s.sum.count++
	}
	return lines, err
}

// Sum is what the lines read so far add up to, and how many there were. After the last one the opening balance and this are the closing
// balance, or the bank's book is wrong.
func (s *StatementReader) Sum() (holdfast.Amount, int) { return s.sum.sum, s.sum.count }

// StatementWriter writes a camt.053 with one statement, entry by entry.
type StatementWriter struct {
	w   io.Writer
	enc *xml.Encoder
	own string
	err error
}

// NewStatementWriter writes everything before the entries. The head must have at least an id, the account and a balance.
func NewStatementWriter(w io.Writer, messageID string, at time.Time, h *StatementHead) (*StatementWriter, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	s := &StatementWriter{w: w, enc: xml.NewEncoder(w), own: h.Account.ID.Text()}
	s.text(xml.Header + `<Document xmlns="` + spacePrefix + Camt053 + `"><BkToCstmrStmt>`)
	s.put("GrpHdr", ReportHeader{messageID, TimeText(at)})
	s.text("<Stmt>")
	s.put("Id", h.ID)
	if h.Sequence != "" {
		s.put("ElctrncSeqNb", h.Sequence)
	}
	if h.Created != "" {
		s.put("CreDtTm", h.Created)
	}
	if h.Span != nil {
		s.put("FrToDt", h.Span)
	}
	s.put("Acct", h.Account)
	for i := range h.Balances {
		s.put("Bal", h.Balances[i])
	}
	if h.Summary != nil {
		s.put("TxsSummry", h.Summary)
	}
	return s, s.err
}

func (s *StatementWriter) text(t string) {
	if s.err == nil {
		_, s.err = io.WriteString(s.w, t)
	}
}

func (s *StatementWriter) put(name string, v any) {
	if s.err == nil {
		s.err = s.enc.EncodeElement(v, xml.StartElement{Name: xml.Name{Local: name}})
	}
}

// Line writes one line as an entry.
func (s *StatementWriter) Line(l *Line) error {
	if s.err != nil {
		return s.err
	}
	e, err := EntryOf(l, s.own)
	if err != nil {
		return err
	}
	s.put("Ntry", e)
	s.text("\n")
	return s.err
}

// Close writes the end.
func (s *StatementWriter) Close() error {
	s.text("</Stmt></BkToCstmrStmt></Document>\n")
	return s.err
}

// NewNotification writes lines as a camt.054, in which the bank tells what it has booked: sequence is the number up to which that is so.
func NewNotification(id string, at time.Time, account string, sequence uint64, lines []Line) (*Notification, error) {
	a, err := AccountIDOf(account)
	if err != nil {
		return nil, err
	}
	part := NotifiedPart{ID: id, Sequence: strconv.FormatUint(sequence, 10), Created: TimeText(at), Account: StatementAccount{ID: a}}
	for i := range lines {
		e, err := EntryOf(&lines[i], account)
		if err != nil {
			return nil, err
		}
		part.Entries = append(part.Entries, e)
	}
	return &Notification{Body: notificationBody{ReportHeader{id, TimeText(at)}, []NotifiedPart{part}}}, nil
}

// Encode writes the message.
func (d *Notification) Encode() ([]byte, error) { return write(d) }

// ReadNotification reads and checks a camt.054 about one account: its lines, and the number up to which it tells what was booked.
func ReadNotification(r io.Reader) (account string, sequence uint64, lines []Line, err error) {
	doc := new(Notification)
	if err := read(r, spacePrefix+Camt054, doc, true); err != nil {
		return "", 0, nil, err
	}
	if len(doc.Body.Notes) != 1 {
		return "", 0, nil, fmt.Errorf("%s: it is about %d accounts, want one", Camt054, len(doc.Body.Notes))
	}
	part := &doc.Body.Notes[0]
	if err := part.Account.ID.Check(); err != nil {
		return "", 0, nil, fmt.Errorf("%s: %w", Camt054, err)
	}
	if sequence, err = strconv.ParseUint(part.Sequence, 10, 63); err != nil {
		return "", 0, nil, fmt.Errorf("%s: ElctrncSeqNb %.30q is not a number", Camt054, part.Sequence)
	}
	for i := range part.Entries {
		more, err := part.Entries[i].Lines()
		if err != nil {
			return "", 0, nil, fmt.Errorf("%s: %w", Camt054, err)
		}
		lines = append(lines, more...)
	}
	return part.Account.ID.Text(), sequence, lines, nil
}

// BalanceOf writes a balance of a day, which may be below 0.
func BalanceOf(which string, amount holdfast.Amount, asset holdfast.Asset, day time.Time) (Balance, error) {
	direction, size := Credit, amount
	if amount < 0 {
		direction, size = Debit, -amount
	}
	money, err := MoneyOf(size, asset)
	if err != nil {
		return Balance{}, err
	}
	return Balance{Type: BalanceType{CodeOr{Code: which}}, Amount: money, Direction: direction, Date: Date{Day: DayText(day)}}, nil
}
