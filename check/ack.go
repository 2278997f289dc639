package check

import (
	"fmt"
	"reflect"
	"strings"

	"holdfast"
)

// Ack is what a client wrote down about one attempt to get a transaction done. Attempts with the same id are about the same
// transaction; every answer is written down, also that to a retry.
type Ack struct {
	ID      holdfast.ID
	Txn     *holdfast.Txn // as sent; nil when the content is not to be compared
	Outcome holdfast.Outcome
	At      holdfast.Time // when the answer arrived, on the client's clock; only for the text of findings
	Site    holdfast.SiteID
}

// Found is what a site answers when asked for a transaction by its id.
type Found struct {
	Txn     *holdfast.Txn // its content as the log has it; nil when the site does not give it
	Outcome holdfast.Outcome
}

// Lookup asks the surviving sites for a transaction. ok is false when they know nothing of the id. An error is one of the
// asking, not an answer.
type Lookup func(id holdfast.ID) (found Found, ok bool, err error)

// Finding is one broken promise.
type Finding struct {
	ID   holdfast.ID // the transaction, or zero when it is not about one
	What string      // one sentence with the numbers that disagree
}

// String gives the finding in one line.
func (f Finding) String() string {
	if f.ID.IsZero() {
		return f.What
	}
	return f.ID.String() + ": " + f.What
}

// Report is the result of [Reconcile]. The counts are of transactions, not attempts.
type Report struct {
	Attempted    int // distinct ids
	Acknowledged int // answered with done at least once
	Refused      int // answered with refused
	NotExecuted  int // every answer was "not executed", or a refusal that is not remembered
	Unknown      int // no definite answer at any attempt; SettledDone of them turned out to be done
	SettledDone  int

	Lost       []Finding // acknowledged, and not there (any more), or there as refused
	Duplicated []Finding // done twice: two fresh answers, or two places in the log
	Altered    []Finding // there, with another content or another outcome than acknowledged
	Phantom    []Finding // refused or not executed, and yet done

	// Done holds the transactions that are in the books now, with their content where known: what [Balances] expects to see.
	Done []Found
}

// OK reports that no promise was broken.
func (r *Report) OK() bool { return len(r.Findings()) == 0 }

// Findings gives all findings in one list.
func (r *Report) Findings() []Finding {
	all := append([]Finding(nil), r.Lost...)
	all = append(all, r.Duplicated...)
	all = append(all, r.Altered...)
	return append(all, r.Phantom...)
}

// String gives the counts, and the first findings, one a line.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d attempted, %d acknowledged, %d refused, %d not executed, %d unknown (%d of them done); %d lost, %d duplicated, %d altered, %d phantom",
		r.Attempted, r.Acknowledged, r.Refused, r.NotExecuted, r.Unknown, r.SettledDone,
		len(r.Lost), len(r.Duplicated), len(r.Altered), len(r.Phantom))
	for i, f := range r.Findings() {
		if i == 20 {
			fmt.Fprintf(&b, "\n  and %d more", len(r.Findings())-i)
			break
		}
		b.WriteString("\n  " + f.String())
	}
	return b.String()
}

// Reconcile compares every acknowledgement with what the surviving sites answer now. Every id is looked up once, unknown
// ones too: that settles them. An error of lookup ends the comparison, because a site that does not answer proves nothing.
func Reconcile(acks []Ack, lookup Lookup) (Report, error) {
	var r Report
	order, byID := group(acks)
	for _, id := range order {
		found, ok, err := lookup(id)
		if err != nil {
			return r, fmt.Errorf("look up transaction %s: %w", id, err)
		}
		r.judge(id, byID[id], found, ok)
	}
	return r, nil
}

// group collects the answers by id, in the order of their first appearance.
func group(acks []Ack) ([]holdfast.ID, map[holdfast.ID][]*Ack) {
	byID := make(map[holdfast.ID][]*Ack, len(acks))
	var order []holdfast.ID
	for i := range acks {
		a := &acks[i]
		if byID[a.ID] == nil {
			order = append(order, a.ID)
		}
		byID[a.ID] = append(byID[a.ID], a)
	}
	return order, byID
}

func (r *Report) judge(id holdfast.ID, acks []*Ack, found Found, ok bool) {
	r.Attempted++
	done, refused, unknown := verdicts(acks)
	inBooks := ok && found.Outcome.Status == holdfast.Done
	if inBooks {
		r.Done = append(r.Done, found)
	}
	switch {
	case done != nil:
		r.Acknowledged++
		r.judgeDone(id, acks, done, found, ok)
	case refused != nil:
		r.Refused++
		r.judgeRefused(id, refused, found, ok)
	case unknown:
		r.Unknown++
		if inBooks {
			r.SettledDone++
			r.judgeContent(id, acks, found)
		}
	default:
		r.NotExecuted++
		if inBooks {
			r.Phantom = append(r.Phantom, Finding{id, "nobody was told that it was executed, and it is done " + where(found.Outcome)})
		}
	}
	r.judgeTwice(id, acks)
}

// remembered reports whether an outcome is kept under the id. Conflicts of ids are not: they say nothing about the transaction
// that has the id; nor is an expiry that came too early.
func remembered(o *holdfast.Outcome) bool {
	switch o.Code {
	case holdfast.CodeIDTaken, holdfast.CodeTransferIDTaken, holdfast.CodeHoldNotDue:
		return false
	}
	return o.Status == holdfast.Done || o.Status == holdfast.Refused
}

// verdicts picks the first definite answers.
func verdicts(acks []*Ack) (done, refused *Ack, unknown bool) {
	for _, a := range acks {
		switch a.Outcome.Status {
		case holdfast.Done:
			if done == nil {
				done = a
			}
		case holdfast.Refused:
			if refused == nil && remembered(&a.Outcome) {
				refused = a
			}
		case holdfast.Unknown:
			unknown = true
		}
	}
	return done, refused, unknown
}

func (r *Report) judgeDone(id holdfast.ID, acks []*Ack, done *Ack, found Found, ok bool) {
	switch {
	case !ok:
		r.Lost = append(r.Lost, Finding{id, "acknowledged " + where(done.Outcome) + ", and no site knows it"})
		return
	case found.Outcome.Status != holdfast.Done:
		r.Lost = append(r.Lost, Finding{id, fmt.Sprintf("acknowledged %s, and now %s (%s)", where(done.Outcome), found.Outcome.Status, found.Outcome.Code)})
		return
	}
	if found.Outcome.Position != done.Outcome.Position {
		r.Duplicated = append(r.Duplicated, Finding{id, "acknowledged " + where(done.Outcome) + ", and found " + where(found.Outcome)})
	} else if found.Outcome.Time != done.Outcome.Time {
		r.Altered = append(r.Altered, Finding{id, fmt.Sprintf("acknowledged at %s, and found at %s", done.Outcome.Time, found.Outcome.Time)})
	}
	r.judgeContent(id, acks, found)
}

func (r *Report) judgeRefused(id holdfast.ID, refused *Ack, found Found, ok bool) {
	switch {
	case !ok:
		r.Lost = append(r.Lost, Finding{id, fmt.Sprintf("refused (%s) %s, and the refusal is forgotten", refused.Outcome.Code, where(refused.Outcome))})
	case found.Outcome.Status == holdfast.Done:
		r.Phantom = append(r.Phantom, Finding{id, fmt.Sprintf("refused (%s), and yet done %s", refused.Outcome.Code, where(found.Outcome))})
	case found.Outcome.Code != refused.Outcome.Code:
		r.Altered = append(r.Altered, Finding{id, fmt.Sprintf("refused with %s, and remembered as %s", refused.Outcome.Code, found.Outcome.Code)})
	}
}

// judgeContent compares what was sent with what the log has. An id that was sent with two contents matches if one of them
// is the one that was done.
func (r *Report) judgeContent(id holdfast.ID, acks []*Ack, found Found) {
	if found.Txn == nil {
		return
	}
	diff := ""
	for _, a := range acks {
		if a.Txn == nil || a.Outcome.Code == holdfast.CodeIDTaken {
			continue
		}
		if diff = Difference(a.Txn, found.Txn); diff == "" {
			return
		}
	}
	if diff != "" {
		r.Altered = append(r.Altered, Finding{id, "its content differs from what was sent: " + diff})
	}
}

// judgeTwice finds contradictions among the answers themselves: two places in the log, two fresh executions, done and refused.
func (r *Report) judgeTwice(id holdfast.ID, acks []*Ack) {
	var first *Ack
	fresh := 0
	for _, a := range acks {
		o := &a.Outcome
		if !remembered(o) {
			continue
		}
		if o.Status == holdfast.Done && !o.Replay {
			fresh++
		}
		if first == nil {
			first = a
			continue
		}
		if o.Status != first.Outcome.Status || o.Code != first.Outcome.Code || o.Position != first.Outcome.Position {
			r.Duplicated = append(r.Duplicated, Finding{id, fmt.Sprintf("answered with %s (%s) %s and with %s (%s) %s",
				first.Outcome.Status, first.Outcome.Code, where(first.Outcome), o.Status, o.Code, where(*o))})
			return
		}
	}
	if fresh > 1 {
		r.Duplicated = append(r.Duplicated, Finding{id, fmt.Sprintf("answered as new %d times", fresh)})
	}
}

func where(o holdfast.Outcome) string {
	if o.Position == (holdfast.Position{}) {
		return "somewhere in the log"
	}
	return fmt.Sprintf("at %d/%d", o.Index, o.Ord)
}

// Difference names the first field in which two transactions differ, and both values; "" when they are the same. Nil and
// empty lists are the same.
func Difference(sent, found *holdfast.Txn) string {
	a, b := reflect.ValueOf(sent).Elem(), reflect.ValueOf(found).Elem()
	return difference("", a, b)
}

func difference(name string, a, b reflect.Value) string {
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			if d := difference(join(name, a.Type().Field(i).Name), a.Field(i), b.Field(i)); d != "" {
				return d
			}
		}
	case reflect.Slice:
		if a.Len() != b.Len() {
			return fmt.Sprintf("%s: %d sent, %d found", name, a.Len(), b.Len())
		}
		for i := range a.Len() {
			if d := difference(fmt.Sprintf("%s[%d]", name, i), a.Index(i), b.Index(i)); d != "" {
				return d
			}
		}
	default:
		if !a.Equal(b) {
			return fmt.Sprintf("%s: %v sent, %v found", name, a.Interface(), b.Interface())
		}
	}
	return ""
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
