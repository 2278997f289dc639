package iso20022

import (
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"time"
)

// Pacs002 is the name of the message by which a bank says what became of payments, in the version written and read here.
const Pacs002 = "pacs.002.001.10"

// Statuses of a transaction (external code set ExternalPaymentTransactionStatus1Code).
const (
	StatusReceived   = "RCVD" // received, not looked at yet
	StatusTechnical  = "ACTC" // accepted: well-formed
	StatusCustomer   = "ACCP" // accepted: the customer may do that
	StatusInProgress = "ACSP" // accepted, settlement under way
	StatusSettled    = "ACSC" // settled on the debtor's account
	StatusCredited   = "ACCC" // settled on the creditor's account
	StatusPending    = "PDNG" // waits
	StatusRejected   = "RJCT" // rejected: never carried out
)

// Reasons (external code set ExternalStatusReason1Code), those that the platform tells apart or its test bank gives.
const (
	ReasonAccount    = "AC01" // account number incorrect
	ReasonClosed     = "AC04" // account closed
	ReasonBlocked    = "AC06" // account blocked
	ReasonFunds      = "AM04" // insufficient funds
	ReasonDuplicate  = "AM05" // duplication
	ReasonForbidden  = "AG01" // transaction forbidden
	ReasonTooLate    = "DT01" // invalid date: here, the message came later than the bank takes it
	ReasonNarrative  = "NARR" // the reason is text
	NeverHeardOf     = "NHRD" // proprietary: the bank has nothing under this id. Not a status: nothing is said about the future
	OtherContent     = "OTHR" // proprietary: the bank has another payment under this id
	reasonLength     = 4
	maxReasonText    = 105 // Max105Text
	maxStatusReasons = 20
)

// StatusReport is a pacs.002: what became of payments.
type StatusReport struct {
	XMLName xml.Name `xml:"urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10 Document"`
	Body    Statuses `xml:"FIToFIPmtStsRpt"`
}

// Statuses is what a status report has within.
type Statuses struct {
	Header       ReportHeader  `xml:"GrpHdr"`
	Group        []GroupStatus `xml:"OrgnlGrpInfAndSts,omitempty"`
	Transactions []TxStatus    `xml:"TxInfAndSts,omitempty"`
}

// ReportHeader says when the bank looked, by its own clock.
type ReportHeader struct {
	MessageID string `xml:"MsgId"`
	Created   string `xml:"CreDtTm"`
}

// GroupStatus is about a message as a whole.
type GroupStatus struct {
	MessageID string   `xml:"OrgnlMsgId"`
	Name      string   `xml:"OrgnlMsgNmId"`
	Status    string   `xml:"GrpSts,omitempty"`
	Reasons   []Reason `xml:"StsRsnInf,omitempty"`
}

// TxStatus is about one transfer.
type TxStatus struct {
	EndToEnd  string   `xml:"OrgnlEndToEndId,omitempty"`
	Status    string   `xml:"TxSts,omitempty"`
	Reasons   []Reason `xml:"StsRsnInf,omitempty"`
	Accepted  string   `xml:"AccptncDtTm,omitempty"`
	Reference string   `xml:"AcctSvcrRef,omitempty"` // the bank's own
}

// Reason says why.
type Reason struct {
	Code *ReasonCode `xml:"Rsn,omitempty"`
	Text []string    `xml:"AddtlInf,omitempty"`
}

// ReasonCode is a code of the external set, or the bank's own; one of them is set.
type ReasonCode struct {
	Code        string `xml:"Cd,omitempty"`
	Proprietary string `xml:"Prtry,omitempty"`
}

// Why makes the reason of a status: one of the external codes, or with proprietary the bank's own.
func Why(code string, proprietary bool, text string) []Reason {
	r := Reason{Code: &ReasonCode{Code: code}}
	if proprietary {
		r.Code = &ReasonCode{Proprietary: code}
	}
	if text != "" {
		r.Text = []string{text}
	}
	return []Reason{r}
}

// ReasonCode is the first reason's code, of either kind, or "".
func (t *TxStatus) ReasonCode() string {
	if len(t.Reasons) == 0 || t.Reasons[0].Code == nil {
		return ""
	}
	if c := t.Reasons[0].Code; c.Code != "" {
		return c.Code
	}
	return t.Reasons[0].Code.Proprietary
}

// NewStatusReport makes a report that was made at a moment of the bank's clock, about a message or, where messageID is "", about whatever
// the transactions are.
func NewStatusReport(id string, at time.Time, messageID string, of ...TxStatus) *StatusReport {
	doc := &StatusReport{Body: Statuses{Header: ReportHeader{id, TimeText(at)}, Transactions: of}}
	if messageID != "" {
		doc.Body.Group = []GroupStatus{{MessageID: messageID, Name: Pain001}}
	}
	return doc
}

// ReadStatusReport reads and checks a pacs.002.
func ReadStatusReport(r io.Reader) (*StatusReport, error) {
	doc := new(StatusReport)
	if err := read(r, spacePrefix+Pacs002, doc, true); err != nil {
		return nil, err
	}
	return doc, doc.Check()
}

// Encode writes the message.
func (d *StatusReport) Encode() ([]byte, error) { return write(d) }

// Made is when the bank looked, by its own clock.
func (d *StatusReport) Made() (time.Time, error) { return ParseTime(d.Body.Header.Created) }

var statusForm = regexp.MustCompile(`^[A-Z]{4}$`)

// Check reports what is wrong with the report.
func (d *StatusReport) Check() error {
	if err := CheckID(d.Body.Header.MessageID); err != nil {
		return fmt.Errorf("%s: message %w", Pacs002, err)
	}
	if _, err := d.Made(); err != nil {
		return fmt.Errorf("%s: %w", Pacs002, err)
	}
	for i := range d.Body.Group {
		if err := checkReasons(d.Body.Group[i].Status, d.Body.Group[i].Reasons); err != nil {
			return fmt.Errorf("%s: %w", Pacs002, err)
		}
	}
	for i := range d.Body.Transactions {
		t := &d.Body.Transactions[i]
		if err := t.check(); err != nil {
			return fmt.Errorf("%s: %w", Pacs002, err)
		}
	}
	return nil
}

func (t *TxStatus) check() error {
	if err := CheckID(t.EndToEnd); err != nil {
		return fmt.Errorf("end-to-end %w", err)
	}
	if t.Reference != "" {
		if err := CheckID(t.Reference); err != nil {
			return fmt.Errorf("%s: reference of the bank: %w", t.EndToEnd, err)
		}
	}
	if t.Accepted != "" {
		if _, err := ParseTime(t.Accepted); err != nil {
			return fmt.Errorf("%s: %w", t.EndToEnd, err)
		}
	}
	if t.Status == "" && len(t.Reasons) == 0 {
		return fmt.Errorf("%s has neither a status nor a reason for having none", t.EndToEnd)
	}
	return checkReasons(t.Status, t.Reasons)
}

func checkReasons(status string, reasons []Reason) error {
	if status != "" && !statusForm.MatchString(status) {
		return fmt.Errorf("status %.10q is not four capital letters", status)
	}
	if len(reasons) > maxStatusReasons {
		return fmt.Errorf("%d reasons for one status", len(reasons))
	}
	for _, r := range reasons {
		if c := r.Code; c != nil {
			switch {
			case (c.Code == "") == (c.Proprietary == ""):
				return fmt.Errorf("a reason has a code, or one of the bank's own, and not both")
			case len(c.Code) > reasonLength || len(c.Proprietary) > MaxID:
				return fmt.Errorf("reason %.40q%.40q is too long", c.Code, c.Proprietary)
			}
		}
		for _, text := range r.Text {
			if err := CheckText(text, maxReasonText); err != nil {
				return fmt.Errorf("reason: %w", err)
			}
		}
	}
	return nil
}
