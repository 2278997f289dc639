package iso20022

import (
	"encoding/xml"
	"fmt"
	"time"

	"holdfast"
)

// Names of the messages of a bank about its book, in the versions written and read here.
const (
	Camt053 = "camt.053.001.08"
	Camt054 = "camt.054.001.08"
)

// Direction of an entry, from the view of the account's owner.
const (
	Credit = "CRDT"
	Debit  = "DBIT"
)

// Types of balances, and the status of entries that are booked.
const (
	Opening = "OPBD"
	Closing = "CLBD"
	Interim = "ITBD"
	Booked  = "BOOK"
)

// statementDoc is a camt.053 as a whole. Statements may be larger than memory: they are read and written piece by piece, and this type
// says what the pieces are.
type statementDoc struct {
	XMLName xml.Name      `xml:"urn:iso:std:iso:20022:tech:xsd:camt.053.001.08 Document"`
	Body    statementBody `xml:"BkToCstmrStmt"`
}

type statementBody struct {
	Header     ReportHeader    `xml:"GrpHdr"`
	Statements []fullStatement `xml:"Stmt"`
}

type fullStatement struct {
	ID       string           `xml:"Id"`
	Sequence string           `xml:"ElctrncSeqNb,omitempty"`
	Created  string           `xml:"CreDtTm,omitempty"`
	Span     *Span            `xml:"FrToDt,omitempty"`
	Account  StatementAccount `xml:"Acct"`
	Balances []Balance        `xml:"Bal"`
	Summary  *Summary         `xml:"TxsSummry,omitempty"`
	Entries  []Entry          `xml:"Ntry,omitempty"`
}

// StatementHead is a statement without its entries.
type StatementHead struct {
	ID       string // 1-35 characters, of this statement
	Sequence string // a number that grows by one from statement to statement of the account
	Created  string
	Span     *Span
	Account  StatementAccount
	Balances []Balance
	Summary  *Summary
}

// Span is from when to when.
type Span struct {
	From string `xml:"FrDtTm"`
	To   string `xml:"ToDtTm"`
}

// StatementAccount is the account of a statement.
type StatementAccount struct {
	ID       AccountID `xml:"Id"`
	Currency string    `xml:"Ccy,omitempty"`
}

// Balance of the account at some time.
type Balance struct {
	Type      BalanceType `xml:"Tp"`
	Amount    Money       `xml:"Amt"`
	Direction string      `xml:"CdtDbtInd"`
	Date      Date        `xml:"Dt"`
}

// BalanceType says which balance it is.
type BalanceType struct {
	Which CodeOr `xml:"CdOrPrtry"`
}

// CodeOr is a code of a set of ISO 20022, or the bank's own.
type CodeOr struct {
	Code        string `xml:"Cd,omitempty"`
	Proprietary string `xml:"Prtry,omitempty"`
}

// Summary has what the entries add up to, for those who read it to compare.
type Summary struct {
	All     *Totals `xml:"TtlNtries,omitempty"`
	Credits *Totals `xml:"TtlCdtNtries,omitempty"`
	Debits  *Totals `xml:"TtlDbtNtries,omitempty"`
}

// Totals is how many entries there are and their sum, a number without a currency.
type Totals struct {
	Count string `xml:"NbOfNtries,omitempty"`
	Sum   string `xml:"Sum,omitempty"`
}

// Entry is one line of the bank's book.
type Entry struct {
	Reference  string      `xml:"NtryRef,omitempty"`
	Amount     Money       `xml:"Amt"`
	Direction  string      `xml:"CdtDbtInd"`
	Reversal   string      `xml:"RvslInd,omitempty"`
	Status     CodeOr      `xml:"Sts"`
	Booked     *Date       `xml:"BookgDt,omitempty"`
	Value      *Date       `xml:"ValDt,omitempty"`
	BankRef    string      `xml:"AcctSvcrRef,omitempty"` // the bank's own, unique at the bank
	Code       BankCode    `xml:"BkTxCd"`
	Details    []TxDetails `xml:"NtryDtls,omitempty"`
	Additional string      `xml:"AddtlNtryInf,omitempty"`
}

// BankCode says what kind of entry it is (external code set ExternalBankTransactionDomain1Code and the sets below it).
type BankCode struct {
	Domain      *CodeDomain   `xml:"Domn,omitempty"`
	Proprietary *BankOwnCodes `xml:"Prtry,omitempty"`
}

// CodeDomain is PMNT and so on.
type CodeDomain struct {
	Code   string     `xml:"Cd"`
	Family CodeFamily `xml:"Fmly"`
}

// CodeFamily is ICDT (issued credit transfers), RCDT (received credit transfers) and so on.
type CodeFamily struct {
	Code string `xml:"Cd"`
	Sub  string `xml:"SubFmlyCd"`
}

// BankOwnCodes are the bank's own.
type BankOwnCodes struct {
	Code   string `xml:"Cd"`
	Issuer string `xml:"Issr,omitempty"`
}

// TxDetails are the transactions of an entry: one, or several that were booked together.
type TxDetails struct {
	Batch        *BatchInfo `xml:"Btch,omitempty"`
	Transactions []TxDetail `xml:"TxDtls,omitempty"`
}

// BatchInfo is about several transactions that were booked together.
type BatchInfo struct {
	MessageID string `xml:"MsgId,omitempty"`
	PaymentID string `xml:"PmtInfId,omitempty"`
	Count     string `xml:"NbOfTxs,omitempty"`
}

// TxDetail is one transaction of an entry.
type TxDetail struct {
	Refs      *References     `xml:"Refs,omitempty"`
	Amount    *Money          `xml:"Amt,omitempty"`
	Direction string          `xml:"CdtDbtInd,omitempty"`
	Parties   *RelatedParties `xml:"RltdPties,omitempty"`
	Info      *Remittance     `xml:"RmtInf,omitempty"`
}

// References are the ids by which a transaction is known.
type References struct {
	MessageID   string `xml:"MsgId,omitempty"`
	BankRef     string `xml:"AcctSvcrRef,omitempty"`
	PaymentID   string `xml:"PmtInfId,omitempty"`
	Instruction string `xml:"InstrId,omitempty"`
	EndToEnd    string `xml:"EndToEndId,omitempty"`
}

// RelatedParties are who paid and who was paid.
type RelatedParties struct {
	Debtor          *Choice  `xml:"Dbtr,omitempty"`
	DebtorAccount   *Account `xml:"DbtrAcct,omitempty"`
	Creditor        *Choice  `xml:"Cdtr,omitempty"`
	CreditorAccount *Account `xml:"CdtrAcct,omitempty"`
}

// Choice is a party or a bank.
type Choice struct {
	Party *Party `xml:"Pty,omitempty"`
	Agent *Agent `xml:"Agt,omitempty"`
}

// Line is one transaction of the bank's book in the terms of this platform.
type Line struct {
	EndToEnd string          // "" where the bank tells none
	BankRef  string          // the bank's own reference, "" where it tells none
	Amount   holdfast.Amount // above 0 where money came in, below 0 where it went out
	Asset    holdfast.Asset
	Day      time.Time // of booking, the beginning of the day in UTC; zero where the bank tells none
	Other    string    // number of the account on the other side, "" where the bank tells none
	Text     string    // remittance information
	Reversal bool      // it takes back an earlier one
}

// Lines are the transactions of a booked entry; an entry that is not booked has none. Where an entry has several transactions, each has
// to have an amount, and they have to add up to the entry.
func (e *Entry) Lines() ([]Line, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	if e.Status.Code != Booked {
		return nil, nil
	}
	whole, err := e.line()
	if err != nil {
		return nil, err
	}
	var lines []Line
	for i := range e.Details {
		for j := range e.Details[i].Transactions {
			l, err := e.Details[i].Transactions[j].line(whole)
			if err != nil {
				return nil, err
			}
			lines = append(lines, l)
		}
	}
	if len(lines) == 0 {
		return []Line{whole}, nil
	}
	return lines, addUp(lines, whole)
}

func addUp(lines []Line, whole Line) error {
	var sum holdfast.Amount
	for _, l := range lines {
		var ok bool
		if sum, ok = sum.Add(l.Amount); !ok || l.Asset != whole.Asset {
			return fmt.Errorf("entry %.40q: its transactions do not add up", whole.BankRef)
		}
	}
	if sum != whole.Amount {
		return fmt.Errorf("entry %.40q: its transactions are %d and it is %d minor units", whole.BankRef, sum, whole.Amount)
	}
	return nil
}

func (e *Entry) check() error {
	if e.Direction != Credit && e.Direction != Debit {
		return fmt.Errorf("entry %.40q: direction %.10q is neither %s nor %s", e.BankRef, e.Direction, Credit, Debit)
	}
	if e.Reversal != "" && e.Reversal != "true" && e.Reversal != "false" && e.Reversal != "1" && e.Reversal != "0" {
		return fmt.Errorf("entry %.40q: RvslInd is %.10q, want true or false", e.BankRef, e.Reversal)
	}
	if (e.Status.Code == "") == (e.Status.Proprietary == "") {
		return fmt.Errorf("entry %.40q has no status, or two", e.BankRef)
	}
	return nil
}

func (e *Entry) line() (Line, error) {
	amount, asset, err := e.Amount.Minor()
	if err != nil {
		return Line{}, fmt.Errorf("entry %.40q: %w", e.BankRef, err)
	}
	l := Line{BankRef: e.BankRef, Amount: signed(amount, e.Direction), Asset: asset, Reversal: e.Reversal == "true" || e.Reversal == "1"}
	if e.Booked != nil {
		if l.Day, err = e.Booked.begin(); err != nil {
			return Line{}, fmt.Errorf("entry %.40q: %w", e.BankRef, err)
		}
	}
	return l, nil
}

// begin is the day of a date, whichever way it is given. A moment counts for the day that its text names: that is the bank's day.
func (d *Date) begin() (time.Time, error) {
	if d.Moment == "" {
		return ParseDay(d.Day)
	}
	return ParseDay(d.Moment[:min(len(d.Moment), len(dayForm))])
}

func (t *TxDetail) line(whole Line) (Line, error) {
	l := whole
	if t.Refs != nil {
		l.EndToEnd = t.Refs.EndToEnd
		if l.EndToEnd == "NOTPROVIDED" { // the word of the guidelines for none
			l.EndToEnd = ""
		}
		if t.Refs.BankRef != "" {
			l.BankRef = t.Refs.BankRef
		}
	}
	if t.Amount != nil {
		amount, asset, err := t.Amount.Minor()
		if err != nil {
			return Line{}, fmt.Errorf("transaction %.40q: %w", l.EndToEnd, err)
		}
		l.Amount, l.Asset = amount, asset
		if direction := t.Direction; direction == Debit || direction == "" && whole.Amount < 0 {
			l.Amount = -amount
		}
	}
	if p := t.Parties; p != nil {
		l.Other = p.other(l.Amount > 0)
	}
	if t.Info != nil && len(t.Info.Text) > 0 {
		l.Text = t.Info.Text[0]
	}
	return l, nil
}

func (p *RelatedParties) other(cameIn bool) string {
	a := p.CreditorAccount
	if cameIn {
		a = p.DebtorAccount
	}
	if a == nil {
		return ""
	}
	return a.ID.Text()
}

func signed(amount holdfast.Amount, direction string) holdfast.Amount {
	if direction == Debit {
		return -amount
	}
	return amount
}

// EntryOf writes a line as a booked entry with one transaction.
func EntryOf(l *Line, account string) (Entry, error) {
	size, direction, family := l.Amount, Credit, "RCDT"
	if size < 0 {
		size, direction, family = -size, Debit, "ICDT"
	}
	money, err := MoneyOf(size, l.Asset)
	if err != nil {
		return Entry{}, err
	}
	parties, err := partiesOf(l.Other, account, l.Amount > 0)
	if err != nil {
		return Entry{}, err
	}
	day := &Date{Day: DayText(l.Day)}
	d := TxDetail{Refs: &References{EndToEnd: l.EndToEnd, BankRef: l.BankRef}, Amount: &money, Direction: direction, Parties: parties}
	if l.EndToEnd == "" {
		d.Refs.EndToEnd = "NOTPROVIDED"
	}
	if l.Text != "" {
		d.Info = &Remittance{[]string{l.Text}}
	}
	e := Entry{
		Amount: money, Direction: direction, Status: CodeOr{Code: Booked}, Booked: day, Value: day, BankRef: l.BankRef,
		Code:    BankCode{Domain: &CodeDomain{"PMNT", CodeFamily{family, "OTHR"}}},
		Details: []TxDetails{{Transactions: []TxDetail{d}}},
	}
	if l.Reversal {
		e.Reversal = "true"
	}
	return e, nil
}

func partiesOf(other, own string, cameIn bool) (*RelatedParties, error) {
	if other == "" {
		return nil, nil
	}
	o, err := AccountIDOf(other)
	if err != nil {
		return nil, err
	}
	a, err := AccountIDOf(own)
	if err != nil {
		return nil, err
	}
	if cameIn {
		return &RelatedParties{DebtorAccount: &Account{ID: o}, CreditorAccount: &Account{ID: a}}, nil
	}
	return &RelatedParties{DebtorAccount: &Account{ID: a}, CreditorAccount: &Account{ID: o}}, nil
}

// Notification is a camt.054: what has been booked since, without balances.
type Notification struct {
	XMLName xml.Name         `xml:"urn:iso:std:iso:20022:tech:xsd:camt.054.001.08 Document"`
	Body    notificationBody `xml:"BkToCstmrDbtCdtNtfctn"`
}

type notificationBody struct {
	Header ReportHeader   `xml:"GrpHdr"`
	Notes  []NotifiedPart `xml:"Ntfctn"`
}

// NotifiedPart is about one account.
type NotifiedPart struct {
	ID       string           `xml:"Id"`
	Sequence string           `xml:"ElctrncSeqNb,omitempty"`
	Created  string           `xml:"CreDtTm,omitempty"`
	Account  StatementAccount `xml:"Acct"`
	Entries  []Entry          `xml:"Ntry,omitempty"`
}
