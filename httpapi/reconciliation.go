package httpapi

import (
	"context"
	"net/http"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

// reconciliationRoutes are the differences between the banks' books and the ledger, and the deposits of which nobody knows whose they are.
func (a *api) reconciliationRoutes(r *router) {
	add[casesIn, jsonOut[casesBody]](r, operation{
		name: "find-cases", method: get, path: "/v1/reconciliation/cases", tag: tagTrades, summary: "Page through the differences between the banks' books and the ledger that are not closed",
		action: guard.ReadMoney, handle: a.atTill(getCases),
	})
	add[caseIn, jsonOut[CaseBody]](r, operation{
		name: "read-case", method: get, path: "/v1/reconciliation/cases/{case}", tag: tagTrades, summary: "Read a difference, with what both sides say",
		action: guard.ReadMoney, handle: a.atTill(getCase),
	})
	for _, v := range []struct {
		name, summary, text string
		how                 func(*till) caseWork
	}{
		{"explain", "Say why a difference is there and what is under way", "It stays on the list. ", func(t *till) caseWork { return t.ExplainCase }},
		{"close", "Say why nothing more is done about a difference", "It comes again if something else is to be seen. ", func(t *till) caseWork { return t.CloseCase }},
	} {
		add[workCaseIn, jsonOut[CaseBody]](r, operation{
			name: v.name + "-case", method: post, path: "/v1/reconciliation/cases/{case}/" + v.name, tag: tagTrades, summary: v.summary,
			text: v.text + againDone, action: guard.RestrictPayments, handle: a.atTill(workCase(v.how)),
		})
	}
	add[depositsIn, jsonOut[depositsBody]](r, operation{
		name: "find-deposits", method: get, path: "/v1/reconciliation/deposits", tag: tagTrades, summary: "Page through the deposits at a bank of which nobody knows whose they are",
		action: guard.RestrictPayments, handle: a.atTill(getDeposits),
	})
	add[assignDepositIn, jsonOut[DepositBody]](r, operation{
		name: "assign-deposit", method: post, path: "/v1/reconciliation/deposits/{deposit}/assign", tag: tagTrades, summary: "Say whose a deposit is: the money goes into the wallet",
		text:   "The same customer again is done and changes nothing. ",
		action: guard.RestrictPayments, handle: a.atTill(postDepositAssign),
	})
}

type casesIn struct {
	PageIn
}

// PathCase documents a path that names a case.
type PathCase struct {
	Case string `path:"case" maxLength:"64" doc:"Id of the case"`
}

type caseIn struct {
	PathCase
	DeadlineIn
}

type workCaseIn struct {
	NumberIn
	PathCase
	Body workCaseBody
}

type workCaseBody struct {
	Why string `json:"why" doc:"For whoever comes next; at most 1000 bytes"`
}

var (
	workCaseMembers = []string{"why"}
	assignMembers   = []string{"to"}
)

// CaseBody is a difference between a bank's book and the ledger.
type CaseBody struct {
	ID       string        `json:"id"`
	Account  string        `json:"account" doc:"Of the platform: bank and currency" example:"test/CNY"`
	Key      string        `json:"key" doc:"What both sides know the item by"`
	Kind     uint8         `json:"kind" format:"int64" doc:"What is different, as a number"`
	Name     string        `json:"difference,omitempty" doc:"The same in words" example:"not-at-bank"`
	ToDo     string        `json:"to_do,omitempty" doc:"What to do about such a difference"`
	Count    uint32        `json:"count" format:"int64" doc:"How many items"`
	Asset    string        `json:"asset" example:"CNY"`
	Amount   int64         `json:"amount" doc:"At stake, in minor units"`
	Progress string        `json:"progress" enum:"open,explained,closed"`
	Why      string        `json:"why,omitempty" doc:"What somebody has said about it last; of a closed one, what has resolved it"`
	Notes    []CaseNote    `json:"notes,omitempty" doc:"What was said about it, the latest last; the last 20 are kept"`
	ByItself bool          `json:"by_itself,omitempty" doc:"Closed because both sides agree now"`
	Ledger   *CaseSideBody `json:"ledger,omitempty" doc:"What the ledger says; left out: nothing"`
	Bank     *CaseSideBody `json:"bank,omitempty" doc:"What the bank says; left out: nothing"`
	Since    string        `json:"since,omitempty" format:"date-time"`
	Seen     string        `json:"seen,omitempty" format:"date-time" doc:"The last time"`
	Closed   string        `json:"closed,omitempty" format:"date-time"`
}

// CaseNote is what somebody has said about a difference.
type CaseNote struct {
	Time     string `json:"time" format:"date-time"`
	By       string `json:"by" doc:"Name of the API key"`
	Progress string `json:"progress" enum:"open,explained,closed" doc:"From then on"`
	Why      string `json:"why"`
}

// CaseSideBody is an item as one side has it. The number of the account on the other side is not shown.
type CaseSideBody struct {
	ID     string `json:"id,omitempty" doc:"End-to-end id"`
	Ref    string `json:"ref,omitempty" doc:"The bank's own"`
	Amount int64  `json:"amount" doc:"In minor units: above 0 came in, below went out"`
	Asset  string `json:"asset" example:"CNY"`
	Day    string `json:"day,omitempty" format:"date-time"`
	Open   bool   `json:"open,omitempty" doc:"An order that has been sent and has not ended"`
	Off    bool   `json:"off,omitempty" doc:"An order that has ended without being paid"`
	Note   string `json:"note,omitempty" doc:"Key of the record, or id of the statement"`
}

type casesBody struct {
	Cases []CaseBody `json:"cases"`
	Next  string     `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
}

func caseSideBodyOf(v *pay.CaseSide) *CaseSideBody {
	if v == nil {
		return nil
	}
	return &CaseSideBody{v.ID, v.Ref, int64(v.Amount), assetText(v.Asset), timeText(v.Day), v.Open, v.Off, v.Note}
}

func (t *till) caseBodyOf(v *pay.Case) CaseBody {
	b := CaseBody{
		ID: v.ID, Account: v.Account, Key: v.Key, Kind: v.Kind, Count: v.Count, Asset: assetText(v.Asset), Amount: int64(v.Amount),
		Progress: v.Progress.String(), Why: v.Why, ByItself: v.ByItself, Ledger: caseSideBodyOf(v.Ledger), Bank: caseSideBodyOf(v.Bank),
		Since: timeText(v.Since), Seen: timeText(v.Seen), Closed: timeText(v.Closed),
	}
	if t.Difference != nil {
		b.Name, b.ToDo = t.Difference(v)
	}
	for _, n := range v.Notes {
		b.Notes = append(b.Notes, CaseNote{timeText(n.At), n.By, n.Progress.String(), n.Why})
	}
	return b
}

func getCases(ctx context.Context, t *till) error {
	after, limit, err := t.x.page()
	if err != nil {
		return err
	}
	list, next, err := t.Cases(ctx, after, limit)
	if err != nil {
		return err
	}
	body := casesBody{Cases: []CaseBody{}, Next: next}
	for i := range list {
		body.Cases = append(body.Cases, t.caseBodyOf(&list[i]))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func getCase(ctx context.Context, t *till) error {
	v, err := t.Case(ctx, t.x.r.PathValue("case"))
	if err != nil {
		return renamed(err, "id", "case")
	}
	return t.x.sendJSON(http.StatusOK, t.caseBodyOf(&v))
}

// caseWork is what can be done with a case: its id, why, who.
type caseWork func(ctx context.Context, id, why, by string, now holdfast.Time) (pay.Case, error)

// workCase explains or closes a case, in the name of the API key.
func workCase(how func(*till) caseWork) func(context.Context, *till) error {
	return func(ctx context.Context, t *till) error {
		why := ""
		if err := t.x.object(workCaseMembers, func(s *scanner, _ string) { why = s.words() }); err != nil {
			return err
		}
		v, err := how(t)(ctx, t.x.r.PathValue("case"), why, t.x.who.Name, t.at)
		if err != nil {
			return renamed(err, "id", "case")
		}
		return t.x.sendJSON(http.StatusOK, t.caseBodyOf(&v))
	}
}

type depositsIn struct {
	PageIn
}

type assignDepositIn struct {
	NumberIn
	Deposit string `path:"deposit" maxLength:"64" doc:"Id of the deposit"`
	Body    assignDepositBody
}

type assignDepositBody struct {
	To string `json:"to" doc:"The customer whose it is, 16 digits" example:"2088000000010420"`
}

// DepositBody is money that has come into an account of the platform at a bank.
type DepositBody struct {
	ID     string `json:"id"`
	Bank   string `json:"bank"`
	Ref    string `json:"ref" doc:"The bank's own reference"`
	Asset  string `json:"asset" example:"CNY"`
	Amount int64  `json:"amount" doc:"In minor units"`
	Text   string `json:"text,omitempty" doc:"What the payer has written"`
	Time   string `json:"time,omitempty" format:"date-time"`
	Status string `json:"status" enum:"credited,unassigned,assigned"`
	Why    string `json:"why,omitempty" doc:"It could not be assigned by itself"`
	Owner  string `json:"owner,omitempty" doc:"Who has got it, 16 digits"`
}

type depositsBody struct {
	Deposits []DepositBody `json:"deposits"`
	Next     string        `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
}

var depositStates = map[pay.DepositStatus]string{
	pay.DepositCredited: "credited", pay.DepositUnassigned: "unassigned", pay.DepositAssigned: "assigned",
}

func depositBodyOf(v *pay.Deposit) DepositBody {
	return DepositBody{
		ID: v.ID, Bank: v.Via, Ref: v.Ref, Asset: assetText(v.Asset), Amount: int64(v.Amount), Text: v.Text, Time: timeText(v.At),
		Status: depositStates[v.Status], Why: v.Why, Owner: ownerText(v.Owner),
	}
}

func getDeposits(ctx context.Context, t *till) error {
	after, limit, err := t.x.page()
	if err != nil {
		return err
	}
	list, next, err := t.UnassignedDeposits(ctx, after, limit)
	if err != nil {
		return err
	}
	body := depositsBody{Deposits: []DepositBody{}, Next: next}
	for i := range list {
		body.Deposits = append(body.Deposits, depositBodyOf(&list[i]))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func postDepositAssign(ctx context.Context, t *till) error {
	var to holdfast.Owner
	if err := t.x.object(assignMembers, func(s *scanner, _ string) { to = s.owner() }); err != nil {
		return err
	}
	if to == 0 {
		return edgeMalformed.field("to", "name the customer whose it is: 16 digits")
	}
	v, err := t.AssignDeposit(ctx, t.x.r.PathValue("deposit"), to, t.at)
	if err != nil {
		return renamed(err, "id", "deposit")
	}
	return t.x.sendJSON(http.StatusOK, depositBodyOf(&v))
}
