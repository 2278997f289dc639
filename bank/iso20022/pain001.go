package iso20022

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"holdfast"
)

// Pain001 is the name of the message by which a customer orders credit transfers, in the version written and read here.
const Pain001 = "pain.001.001.09"

// MaxTransfers is how many transfers one initiation may have.
const MaxTransfers = 10_000

// Initiation is a pain.001: pay this. Payments have one debtor each.
type Initiation struct {
	XMLName xml.Name `xml:"urn:iso:std:iso:20022:tech:xsd:pain.001.001.09 Document"`
	Body    Orders   `xml:"CstmrCdtTrfInitn"`
}

// Orders is what an initiation has within.
type Orders struct {
	Header   Header    `xml:"GrpHdr"`
	Payments []Payment `xml:"PmtInf"`
}

// Header is what is true of all transfers of the message.
type Header struct {
	MessageID string `xml:"MsgId"`
	Created   string `xml:"CreDtTm"`
	Count     string `xml:"NbOfTxs"`
	Sum       string `xml:"CtrlSum,omitempty"`
	Initiator Party  `xml:"InitgPty"`
}

// Party is a person or a company.
type Party struct {
	Name string `xml:"Nm,omitempty"`
}

// Payment is one debtor's part of an initiation.
type Payment struct {
	ID        string     `xml:"PmtInfId"`
	Method    string     `xml:"PmtMtd"` // TRF
	Batch     string     `xml:"BtchBookg,omitempty"`
	Count     string     `xml:"NbOfTxs,omitempty"`
	Sum       string     `xml:"CtrlSum,omitempty"`
	Execute   Date       `xml:"ReqdExctnDt"`
	Debtor    Party      `xml:"Dbtr"`
	Account   Account    `xml:"DbtrAcct"`
	Agent     Agent      `xml:"DbtrAgt"`
	Bearer    string     `xml:"ChrgBr,omitempty"`
	Transfers []Transfer `xml:"CdtTrfTxInf"`
}

// Date is a day or a moment; one of them is set.
type Date struct {
	Day    string `xml:"Dt,omitempty"`
	Moment string `xml:"DtTm,omitempty"`
}

// Account is an account at a bank.
type Account struct {
	ID       AccountID `xml:"Id"`
	Currency string    `xml:"Ccy,omitempty"`
}

// Agent is a bank.
type Agent struct {
	ID AgentID `xml:"FinInstnId"`
}

// AgentID names a bank by its BIC or by another number.
type AgentID struct {
	BIC   string   `xml:"BICFI,omitempty"`
	Other *OtherID `xml:"Othr,omitempty"`
}

// Transfer is one payment to one creditor.
type Transfer struct {
	ID       PaymentID   `xml:"PmtId"`
	Amount   Instructed  `xml:"Amt"`
	Agent    *Agent      `xml:"CdtrAgt,omitempty"`
	Creditor Party       `xml:"Cdtr"`
	Account  Account     `xml:"CdtrAcct"`
	Info     *Remittance `xml:"RmtInf,omitempty"`
}

// PaymentID has the ids of a transfer. EndToEnd goes all the way to the creditor and never changes.
type PaymentID struct {
	Instruction string `xml:"InstrId,omitempty"`
	EndToEnd    string `xml:"EndToEndId"`
}

// Instructed is the amount as it was ordered.
type Instructed struct {
	Money Money `xml:"InstdAmt"`
}

// Remittance is what the creditor reads.
type Remittance struct {
	Text []string `xml:"Ustrd,omitempty"`
}

// Order is one transfer in the terms of this platform.
type Order struct {
	EndToEnd string
	Amount   holdfast.Amount // above 0
	Asset    holdfast.Asset
	Debtor   string // number of the account that pays
	Creditor string // number of the account that is paid
	Name     string // of the creditor
	Text     string // for the creditor; may be ""
}

// Check reports what is wrong with the order.
func (o *Order) Check() error {
	if err := CheckID(o.EndToEnd); err != nil {
		return fmt.Errorf("end-to-end id: %w", err)
	}
	if o.Amount <= 0 {
		return fmt.Errorf("%s: amount %d is not above 0", o.EndToEnd, o.Amount)
	}
	if _, err := MoneyOf(o.Amount, o.Asset); err != nil {
		return fmt.Errorf("%s: %w", o.EndToEnd, err)
	}
	if err := CheckAccount(o.Debtor); err != nil {
		return fmt.Errorf("%s: debtor: %w", o.EndToEnd, err)
	}
	if err := CheckAccount(o.Creditor); err != nil {
		return fmt.Errorf("%s: creditor: %w", o.EndToEnd, err)
	}
	if err := CheckText(o.Name, MaxText); err != nil {
		return fmt.Errorf("%s: name of the creditor: %w", o.EndToEnd, err)
	}
	if o.Text != "" {
		if err := CheckText(o.Text, MaxText); err != nil {
			return fmt.Errorf("%s: text for the creditor: %w", o.EndToEnd, err)
		}
	}
	return nil
}

// NewInitiation writes orders of one debtor as one message, made at a moment; the bank is asked to book each of them by itself.
func NewInitiation(messageID, initiator, bic string, made time.Time, orders ...Order) (*Initiation, error) {
	if len(orders) == 0 || len(orders) > MaxTransfers {
		return nil, fmt.Errorf("an initiation has 1 to %d transfers, not %d", MaxTransfers, len(orders))
	}
	account, err := AccountIDOf(orders[0].Debtor)
	if err != nil {
		return nil, fmt.Errorf("debtor: %w", err)
	}
	count := strconv.Itoa(len(orders))
	p := Payment{
		ID: messageID, Method: "TRF", Batch: "false", Count: count, Execute: Date{Day: DayText(made.UTC())},
		Debtor: Party{initiator}, Account: Account{ID: account}, Agent: agentOf(bic), Bearer: "SLEV",
	}
	for i := range orders {
		if orders[i].Debtor != orders[0].Debtor {
			return nil, fmt.Errorf("%s has another debtor than %s: one message is for one account", orders[i].EndToEnd, orders[0].EndToEnd)
		}
		t, err := transferOf(&orders[i])
		if err != nil {
			return nil, err
		}
		p.Transfers = append(p.Transfers, t)
	}
	doc := &Initiation{Body: Orders{Header{messageID, TimeText(made), count, "", Party{initiator}}, []Payment{p}}}
	return doc, doc.Check()
}

func agentOf(bic string) Agent {
	if bic == "" {
		return Agent{AgentID{Other: &OtherID{ID: "NOTPROVIDED"}}} // what the guidelines say where no BIC is needed
	}
	return Agent{AgentID{BIC: bic}}
}

func transferOf(o *Order) (Transfer, error) {
	if err := o.Check(); err != nil {
		return Transfer{}, err
	}
	money, err := MoneyOf(o.Amount, o.Asset)
	if err != nil {
		return Transfer{}, err
	}
	creditor, err := AccountIDOf(o.Creditor)
	if err != nil {
		return Transfer{}, err
	}
	t := Transfer{
		ID: PaymentID{o.EndToEnd, o.EndToEnd}, Amount: Instructed{money}, Creditor: Party{o.Name}, Account: Account{ID: creditor},
	}
	if o.Text != "" {
		t.Info = &Remittance{[]string{o.Text}}
	}
	return t, nil
}

// ReadInitiation reads and checks a pain.001.
func ReadInitiation(r io.Reader) (*Initiation, error) {
	doc := new(Initiation)
	if err := read(r, spacePrefix+Pain001, doc, false); err != nil {
		return nil, err
	}
	return doc, doc.Check()
}

// Encode writes the message.
func (d *Initiation) Encode() ([]byte, error) { return write(d) }

// Made is the moment at which the message says it was made.
func (d *Initiation) Made() (time.Time, error) { return ParseTime(d.Body.Header.Created) }

// Check reports what is wrong with the message; nothing of one that is wrong may be carried out.
func (d *Initiation) Check() error {
	if err := CheckID(d.Body.Header.MessageID); err != nil {
		return fmt.Errorf("%s: message %w", Pain001, err)
	}
	if _, err := d.Made(); err != nil {
		return fmt.Errorf("%s: %w", Pain001, err)
	}
	orders, err := d.Orders()
	if err != nil {
		return fmt.Errorf("%s: %w", Pain001, err)
	}
	if d.Body.Header.Sum != "" {
		if err := checkSum(d.Body.Header.Sum, orders); err != nil {
			return fmt.Errorf("%s: %w", Pain001, err)
		}
	}
	return sameCount(d.Body.Header.Count, len(orders))
}

func sameCount(text string, n int) error {
	if text != "" && text != strconv.Itoa(n) {
		return fmt.Errorf("%s: NbOfTxs is %.20q, and there are %d transfers: is a part missing?", Pain001, text, n)
	}
	return nil
}

// checkSum compares a control sum, which adds up numbers whatever their currencies are: with decimals that differ it is left alone.
func checkSum(text string, orders []Order) error {
	digits, sum := -1, holdfast.Amount(0)
	for i := range orders {
		n, err := Decimals(orders[i].Asset)
		if err != nil {
			return err
		}
		if digits >= 0 && n != digits {
			return nil
		}
		var ok bool
		if sum, ok = sum.Add(orders[i].Amount); !ok {
			return errors.New("the sum of the transfers is above the largest amount there is")
		}
		digits = n
	}
	if told, err := minor(text, max(digits, 0)); err != nil || told != sum {
		return fmt.Errorf("CtrlSum %.30q is not the sum of the transfers", text)
	}
	return nil
}

// Orders are the transfers of all payments, in order, each checked; two with the same end-to-end id are an error.
func (d *Initiation) Orders() ([]Order, error) {
	var all []Order
	seen := map[string]bool{}
	for i := range d.Body.Payments {
		p := &d.Body.Payments[i]
		if err := p.check(); err != nil {
			return nil, err
		}
		for j := range p.Transfers {
			o, err := p.Transfers[j].order(p)
			if err != nil {
				return nil, err
			}
			if seen[o.EndToEnd] {
				return nil, fmt.Errorf("end-to-end id %s is there twice", o.EndToEnd)
			}
			seen[o.EndToEnd] = true
			all = append(all, o)
		}
	}
	if len(all) == 0 || len(all) > MaxTransfers {
		return nil, fmt.Errorf("%d transfers, want 1 to %d", len(all), MaxTransfers)
	}
	return all, nil
}

func (p *Payment) check() error {
	if err := CheckID(p.ID); err != nil {
		return fmt.Errorf("payment %w", err)
	}
	if p.Method != "TRF" {
		return fmt.Errorf("payment %s: method %.10q is not TRF: only transfers are carried out", p.ID, p.Method)
	}
	if p.Execute.Moment != "" {
		return fmt.Errorf("payment %s: give the day of execution, not a moment", p.ID)
	}
	if _, err := ParseDay(p.Execute.Day); err != nil {
		return fmt.Errorf("payment %s: %w", p.ID, err)
	}
	if p.Bearer != "" && p.Bearer != "SLEV" && p.Bearer != "SHAR" {
		return fmt.Errorf("payment %s: charge bearer %.10q is not SLEV or SHAR", p.ID, p.Bearer)
	}
	if p.Batch != "" && p.Batch != "false" && p.Batch != "0" {
		return fmt.Errorf("payment %s: batch booking is not supported: the statement has to show every transfer", p.ID)
	}
	return sameCount(p.Count, len(p.Transfers))
}

func (t *Transfer) order(p *Payment) (Order, error) {
	amount, asset, err := t.Amount.Money.Minor()
	if err != nil {
		return Order{}, fmt.Errorf("%.40s: %w", t.ID.EndToEnd, err)
	}
	for _, a := range []AccountID{p.Account.ID, t.Account.ID} {
		if err := a.Check(); err != nil {
			return Order{}, fmt.Errorf("%.40s: %w", t.ID.EndToEnd, err)
		}
	}
	o := Order{
		EndToEnd: t.ID.EndToEnd, Amount: amount, Asset: asset,
		Debtor: p.Account.ID.Text(), Creditor: t.Account.ID.Text(), Name: t.Creditor.Name,
	}
	if t.Info != nil && len(t.Info.Text) > 0 {
		if len(t.Info.Text) > 1 {
			return Order{}, fmt.Errorf("%.40s: more than one line of remittance information", t.ID.EndToEnd)
		}
		o.Text = t.Info.Text[0]
	}
	return o, o.Check()
}
