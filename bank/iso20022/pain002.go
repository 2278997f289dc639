package iso20022

import (
	"encoding/xml"
	"io"
)

// Pain002 is the name of the message by which many banks tell a customer what became of his payments, in the version read here.
const Pain002 = "pain.002.001.10"

// customerReport is a pain.002: the same as a pacs.002, in other places.
type customerReport struct {
	XMLName xml.Name         `xml:"urn:iso:std:iso:20022:tech:xsd:pain.002.001.10 Document"`
	Body    customerStatuses `xml:"CstmrPmtStsRpt"`
}

type customerStatuses struct {
	Header   ReportHeader    `xml:"GrpHdr"`
	Group    GroupStatus     `xml:"OrgnlGrpInfAndSts"`
	Payments []paymentStatus `xml:"OrgnlPmtInfAndSts,omitempty"`
}

// paymentStatus is about one debtor's part of an initiation.
type paymentStatus struct {
	ID           string     `xml:"OrgnlPmtInfId"`
	Status       string     `xml:"PmtInfSts,omitempty"`
	Reasons      []Reason   `xml:"StsRsnInf,omitempty"`
	Transactions []TxStatus `xml:"TxInfAndSts,omitempty"`
}

// ReadCustomerReport reads and checks a pain.002, as the pacs.002 that says the same. The status of a payment with no word about its transfers is that of the
// message, if it has no other: an initiation of this platform has one payment.
func ReadCustomerReport(r io.Reader) (*StatusReport, error) {
	from := new(customerReport)
	if err := read(r, spacePrefix+Pain002, from, true); err != nil {
		return nil, err
	}
	doc := &StatusReport{Body: Statuses{Header: from.Body.Header, Group: []GroupStatus{from.Body.Group}}}
	group := &doc.Body.Group[0]
	for i := range from.Body.Payments {
		p := &from.Body.Payments[i]
		doc.Body.Transactions = append(doc.Body.Transactions, p.Transactions...)
		if len(p.Transactions) == 0 && len(from.Body.Payments) == 1 && group.Status == "" {
			group.Status, group.Reasons = p.Status, p.Reasons
		}
	}
	return doc, doc.Check()
}
