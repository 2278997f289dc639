// Package retail holds a year of real trade as a list of payment events: the orders of a wholesaler of gifts in the United
// Kingdom, December 2010 to December 2011, and the refunds of what was sent back, in the order in which they were recorded.
// Demo and drills replay it. Source and licence (CC BY 4.0) are in ATTRIBUTION.md.
package retail

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"time"

	"holdfast"
)

// Name is what drill results call this input.
const Name = "online_retail_orders"

// Attribution is the line that whoever shows this data has to show with it.
const Attribution = "Orders: Chen, D. (2015), Online Retail, UCI Machine Learning Repository, doi:10.24432/C5BW33, CC BY 4.0."

//go:embed online_retail_orders.csv.gz
var ordersFile []byte

//go:embed online_retail_refund_links.csv.gz
var linksFile []byte

// Event is one payment: an order paid by a customer, or a refund of an order, or of a part of one, to its customer.
type Event struct {
	Invoice  string          // the invoice of the order, or of the cancellation (then it begins with "C")
	Customer string          // the customer's number; "" is a guest
	Refunds  int             // for a refund: the index in the list of the order that it refunds; for an order -1
	Amount   holdfast.Amount // pence, > 0
	At       time.Time       // wall time in the United Kingdom, carried in UTC
}

// IsRefund reports whether the money goes back to the customer.
func (e *Event) IsRefund() bool { return e.Refunds >= 0 }

// Trade is all events in recorded order, and who takes part.
type Trade struct {
	Events    []Event
	Customers []string                   // every customer who pays, in order of the first order; guests share the customer ""
	Spent     map[string]holdfast.Amount // what each customer pays over the whole list, refunds not deducted
}

// Load parses the embedded files. Orders of nothing (stock write-offs), adjustments and cancellations that cannot be linked
// to an order are left out: nobody paid. A file that breaks its own format is an error that names the line.
func Load() (*Trade, error) {
	links, err := loadLinks()
	if err != nil {
		return nil, err
	}
	t := &Trade{Spent: map[string]holdfast.Amount{}}
	orders := map[string]int{}
	err = eachRow(ordersFile, "online_retail_orders.csv", func(row []string) error {
		return t.add(row, orders, links)
	})
	return t, err
}

// Columns of the two files that are used.
const (
	orderInvoice, orderKind, orderCustomer, orderTime, orderTotal = 0, 1, 2, 4, 5
	linkCancel, linkOrder, linkPence                              = 0, 1, 5
)

type link struct {
	order string
	pence holdfast.Amount
}

func loadLinks() (map[string][]link, error) {
	links := map[string][]link{}
	err := eachRow(linksFile, "online_retail_refund_links.csv", func(row []string) error {
		pence, err := positive(row[linkPence])
		links[row[linkCancel]] = append(links[row[linkCancel]], link{row[linkOrder], pence})
		return err
	})
	return links, err
}

func (t *Trade) add(row []string, orders map[string]int, links map[string][]link) error {
	at, err := time.Parse("2006-01-02T15:04:05", row[orderTime])
	if err != nil {
		return err
	}
	switch row[orderKind] {
	case "order":
		return t.addOrder(row, at, orders)
	case "cancellation":
		return t.addRefunds(row, at, orders, links[row[orderInvoice]])
	case "adjustment":
		return nil
	}
	return fmt.Errorf("kind %q is not order, cancellation or adjustment", row[orderKind])
}

func (t *Trade) addOrder(row []string, at time.Time, orders map[string]int) error {
	if row[orderTotal] == "0" {
		return nil
	}
	pence, err := positive(row[orderTotal])
	if err != nil {
		return err
	}
	customer := row[orderCustomer]
	if _, known := t.Spent[customer]; !known {
		t.Customers = append(t.Customers, customer)
	}
	t.Spent[customer] += pence
	orders[row[orderInvoice]] = len(t.Events)
	t.Events = append(t.Events, Event{row[orderInvoice], customer, -1, pence, at})
	return nil
}

func (t *Trade) addRefunds(row []string, at time.Time, orders map[string]int, links []link) error {
	for _, l := range links {
		order, ok := orders[l.order]
		if !ok {
			return fmt.Errorf("cancellation %s refers to order %s, which is not before it", row[orderInvoice], l.order)
		}
		if row[orderCustomer] != t.Events[order].Customer {
			return fmt.Errorf("cancellation %s refers to order %s of another customer", row[orderInvoice], l.order)
		}
		t.Events = append(t.Events, Event{row[orderInvoice], row[orderCustomer], order, l.pence, at})
	}
	return nil
}

func positive(text string) (holdfast.Amount, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && n <= 0 {
		err = fmt.Errorf("amount %d is not above 0", n)
	}
	return holdfast.Amount(n), err
}

// eachRow calls do with every row after the header; an error names the file and the line.
func eachRow(file []byte, name string, do func(row []string) error) error {
	unzipped, err := gzip.NewReader(bytes.NewReader(file))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	rows, err := csv.NewReader(unzipped).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for i, row := range rows[1:] {
		if err := do(row); err != nil {
			return fmt.Errorf("%s, line %d: %w", name, i+2, err)
		}
	}
	return nil
}
