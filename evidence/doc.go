// Package evidence is a file that lets a third party re-check what a drill says, without the fleet and without trusting who ran it: the
// callers' receipts, and every answer that the sites gave afterwards, signed with the keys of the sites.
//
// What is proved is as much as the sites signed: that each receipt of a payment stands on the statement of who was paid, at every
// site, once, unaltered; that nothing stands there that nobody asked for; that the statements are whole and add up; that the sites
// agree with each other and find their own books right; and that those who answered are a majority of the sites that have a replica, as
// the audits name them. The same of trades: that each payment and refund that was acknowledged has its entries on the statements of its merchant, with
// the fee that was agreed, once, between these two; that nothing else is on them but the payouts of settlements; and that those come to the same.
// Receipts are the callers': whoever leaves some out can hide what happened to them, and nobody can invent one that is found.
package evidence

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast"
	"holdfast/proof"
)

// Format is the first field of every file. Files of [FormatWithoutTrades] are read as well: they have no deals.
const (
	Format              = "holdfast evidence 2"
	FormatWithoutTrades = "holdfast evidence 1"
)

// File is the content: one or more runs against fleets of one authority each.
type File struct {
	Format  string    `json:"format"`
	Made    time.Time `json:"made"`
	Program string    `json:"program"` // version of the program that made it
	Runs    []Run     `json:"runs"`
}

// Run is one drill.
type Run struct {
	Scenario  string            `json:"scenario"`
	Seed      uint64            `json:"seed"`
	Authority string            `json:"authority"` // certificates of the fleet's authority, in PEM
	Sites     []holdfast.SiteID `json:"sites"`     // that were there in the end
	Receipts  []Receipt         `json:"receipts"`
	Sellers   []Seller          `json:"sellers,omitempty"`
	Deals     []Deal            `json:"deals,omitempty"`
	DealsLeft int               `json:"deals_left_out,omitempty"` // there were more than MaxDeals
	Answers   []proof.Answer    `json:"answers"`
}

// Receipt is what a caller wrote down of one payment: what was asked, and the last word of the answer.
type Receipt struct {
	ID      holdfast.ID        `json:"id"`
	Debit   holdfast.AccountID `json:"debit"`
	Credit  holdfast.AccountID `json:"credit"`
	Amount  holdfast.Amount    `json:"amount"`
	Outcome string             `json:"outcome"` // done, refused, not-executed, unknown
	Time    holdfast.Time      `json:"time"`    // of the log, in nanoseconds since 1970, when done
}

// Write writes the file, compressed when its name ends in .gz.
func Write(name string, f *File) (err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("make the directory of %s: %w", name, err)
	}
	out, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	var w io.Writer = out
	if strings.HasSuffix(name, ".gz") {
		z := gzip.NewWriter(out)
		defer func() { err = errors.Join(err, z.Close()) }()
		w = z
	}
	if err := json.NewEncoder(w).Encode(f); err != nil {
		return fmt.Errorf("write the evidence: %w", err)
	}
	return nil
}

// Read reads what Write wrote.
func Read(name string) (*File, error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the evidence: %w", err)
	}
	defer in.Close()
	var r io.Reader = in
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(in); err != nil {
			return nil, fmt.Errorf("read the evidence: %w", err)
		}
	}
	f := new(File)
	if err := json.NewDecoder(r).Decode(f); err != nil {
		return nil, fmt.Errorf("%s is no evidence file, or a damaged one: %w", name, err)
	}
	if f.Format != Format && f.Format != FormatWithoutTrades {
		return nil, fmt.Errorf("%s has the format %.40q, this program reads %q", name, f.Format, Format)
	}
	return f, nil
}
