package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/bank/iso20022"
	"holdfast/receipt"
)

// maxReceipt is the longest file that is taken for a receipt, in bytes.
const maxReceipt = 1 << 20

// receiptIn reads a file that is a receipt, or the answer of the API that has one in it; nil: it is something else.
func receiptIn(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil || info.Size() > maxReceipt || strings.HasSuffix(name, ".gz") {
		return nil, nil // whoever reads it as evidence says what is wrong
	}
	text, err := os.ReadFile(name)
	if err != nil || receipt.Is(text) {
		return text, err
	}
	var answer struct {
		Signed json.RawMessage `json:"signed"`
	}
	if json.Unmarshal(text, &answer) == nil && receipt.Is(answer.Signed) {
		return answer.Signed, nil
	}
	return nil, nil
}

func checkReceipt(cmd *cobra.Command, text []byte, authority, keys, jsonFile string) error {
	var t receipt.Trust
	var err error
	if authority != "" {
		if t.Authority, err = os.ReadFile(authority); err != nil {
			return fmt.Errorf("read the certificate of the authority: %w", err)
		}
	}
	if keys != "" {
		list, err := os.ReadFile(keys)
		if err != nil {
			return fmt.Errorf("read the keys of the sites: %w", err)
		}
		if t.Keys, err = receipt.ReadKeys(list); err != nil {
			return fmt.Errorf("%s: %w", keys, err)
		}
	}
	f := receipt.Check(text, t)
	tellReceipt(words(cmd, jsonFile), &f)
	return verdict(cmd, jsonFile, f, f.Proved)
}

func tellReceipt(w io.Writer, f *receipt.Finding) {
	p := paintFor(w)
	if c := f.Contents; c != nil && f.Genuine {
		fmt.Fprintf(w, "%s\n", p.bold(contentsInWords(c)))
		for _, m := range c.Transfers {
			fmt.Fprintf(w, "  %s from %s to %s\n", moved(m), m.Debit, m.Credit)
		}
	}
	fmt.Fprintf(w, "Receipt made by site %s on %s.\n\n", f.Site, f.Made.UTC().Format("2 January 2006 at 15:04:05 MST"))
	for _, text := range f.Shown {
		fmt.Fprintf(w, "  %s %s\n", p.green("✔"), text)
	}
	for _, text := range f.Open {
		fmt.Fprintf(w, "  · Not shown: %s\n", text)
	}
	for _, text := range f.Broken {
		fmt.Fprintf(w, "  %s %s\n", p.red("✘"), text)
	}
	for _, k := range f.Keys {
		if k.By == "receipt" || k.By == "nobody" {
			fmt.Fprintf(w, "  · the key of site %d is from the receipt itself: %s\n", k.Site, k.ID)
		}
	}
	fmt.Fprintf(w, "\n%s\n", judged(p, f))
}

// judged is the last line: what somebody who reads nothing else has to know.
func judged(p paint, f *receipt.Finding) string {
	switch {
	case !f.Genuine:
		return p.alarm(" FORGED ") + "  This is not what the sites have signed. Believe nothing of it."
	case !f.Trusted:
		return "UNCHANGED  Nothing was changed since it was made. Who made it is not shown: name the fleet's keys (--keys) or its authority (--ca)."
	case f.Proved && f.Verdict == receipt.Safe:
		return p.good(" SAFE ") + "  The payment was made and is kept by a majority of the sites, by their own signatures."
	case f.Proved:
		return p.good(" NOT PAID ") + "  The payment was not made, by the signatures of a majority of the sites: no money was moved by it."
	case f.Verdict == receipt.Safe, f.Verdict == receipt.NotExecuted:
		return "GENUINE  Signed by too few sites to be a proof by itself: see above what it shows and what not."
	}
	return "GENUINE  It proves no payment: it says what was known when it was made. Ask for a new one."
}

// contentsInWords is what was paid, in a line.
func contentsInWords(c *receipt.Contents) string {
	var b strings.Builder
	switch c.Subject {
	case "receipt":
		fmt.Fprintf(&b, "Receipt %s of customer %s: %s %s", c.Receipt, c.Customer, c.Kind, majorUnits(c.Amount, c.Asset))
	case "trade":
		fmt.Fprintf(&b, "Trade %s of merchant %s: %s", c.OutTradeNo, c.Merchant, majorUnits(c.Amount, c.Asset))
	default:
		return "Transaction " + c.Transaction
	}
	if c.Other != 0 {
		fmt.Fprintf(&b, ", with %s", c.Other)
	}
	if c.Time != nil {
		fmt.Fprintf(&b, ", at %s", c.Time.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	if c.Number != "" {
		fmt.Fprintf(&b, ", number %s", c.Number)
	}
	if c.Text != "" {
		fmt.Fprintf(&b, ", for %q", c.Text)
	}
	return b.String()
}

func moved(m receipt.ContentsOfMove) string {
	id, err := holdfast.ParseAccountID(m.Debit)
	if err != nil {
		return fmt.Sprint(m.Amount)
	}
	return majorUnits(m.Amount, id.Asset)
}

// majorUnits writes minor units as people do, where the currency says how.
func majorUnits(n holdfast.Amount, asset holdfast.Asset) string {
	digits, err := iso20022.Decimals(asset)
	if err != nil || digits == 0 {
		return fmt.Sprintf("%d %s", n, asset)
	}
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	unit := holdfast.Amount(1)
	for range digits {
		unit *= 10
	}
	return fmt.Sprintf("%s%d.%0*d %s", sign, n/unit, digits, n%unit, asset)
}
