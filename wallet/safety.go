package wallet

import (
	"context"
	"net/http"
	"time"

	"holdfast/client"
	"holdfast/page"
)

// safetyWait is how long the question may take; the API answers within a second, from whatever sites are left.
const safetyWait = 1500 * time.Millisecond

// safety is the answer to the question that matters in a bad hour: is my payment safe?
type safety struct {
	client.Safety
	Name  string // of the receipt
	Asked bool   // somebody has answered
}

// Live reports whether the answer may become another one: then the page goes on asking.
func (s safety) Live() bool { return !s.Asked || s.AskAgainMS > 0 }

// Look is how the answer looks: yes, no (nothing has moved, which is as sure), wait.
func (s safety) Look() string {
	switch {
	case !s.Asked:
		return "wait"
	case s.Verdict == client.SafetySafe:
		return "yes"
	case s.Verdict == client.SafetyNotExecuted:
		return "no"
	}
	return "wait"
}

// Known reports that the site which answers knows that a majority has the entry, and could not have that confirmed by a majority just now.
func (s safety) Known() bool { return s.Verdict == client.SafetySafe && s.Holding < s.Majority }

// File reports whether there is a signed receipt.
func (s safety) File() bool { return len(s.Signed) > 0 && string(s.Signed) != "null" }

// Answer is the key of the answer in big words.
func (s safety) Answer() string {
	if !s.Asked {
		return "safety-unknown"
	}
	switch s.Verdict {
	case client.SafetySafe, client.SafetyHeld, client.SafetyUnderWay, client.SafetyNotExecuted:
		return "safety-" + s.Verdict
	}
	return "safety-unknown"
}

// Why is the key of the reason; "" where the page has no words for it.
func (s safety) Why() string {
	if !s.Asked {
		return "why-not-asked"
	}
	if _, ok := words["safety-why-"+s.Reason]; ok {
		return "safety-why-" + s.Reason
	}
	return ""
}

func (w *wallet) safetyOf(ctx context.Context, v *page.View, receipt string) safety {
	ctx, cancel := context.WithTimeout(ctx, safetyWait)
	defer cancel()
	s, err := w.API.Safety(ctx, v.Owner(), receipt)
	return safety{s, receipt, err == nil}
}

// tellSafety asks again, while the answer may change.
func (w *wallet) tellSafety(ctx context.Context, v *page.View) (string, any, error) {
	return "safety-now", receiptPage{Safety: w.safetyOf(ctx, v, query(v).Get("receipt"))}, nil
}

// signedReceipt is the receipt that proves the payment without us.
func (w *wallet) signedReceipt(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	name := r.PathValue("receipt")
	s, err := w.API.Safety(ctx, v.Owner(), name)
	switch {
	case err != nil:
		return page.Failed(v, r, err)
	case !(safety{Safety: s}).File():
		return page.NotFound("")
	}
	return page.Answer{File: &page.File{Type: "application/json", Name: "holdfast-receipt-" + name + ".json", Content: s.Signed}}
}
