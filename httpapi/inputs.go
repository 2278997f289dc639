package httpapi

// What the document of the API says about parameters. The requests are read by hand; see the handlers. Which parameters a URL may have
// is taken from here. Types that are embedded are exported: huma leaves out what is not.

type jsonOut[T any] struct{ Body T }

// DeadlineIn documents the parameter that every operation has.
type DeadlineIn struct {
	Deadline int `header:"X-Deadline-Ms" minimum:"1" maximum:"10000" doc:"Deadline of the request in milliseconds; if left out, what the site is configured to (timing.request, 2000 as delivered)"`
}

// KeyIn documents the parameters of changes that are transactions.
type KeyIn struct {
	Key string `header:"Idempotency-Key" maxLength:"255" doc:"A UUID: the id of the transaction. Any other text is turned into one, together with the name of the API key. Send the same again when you ask again, and never for anything else, whoever pays: ids are unique over all payers" example:"0190f3c6-2a3b-7c4d-8e5f-001122334455"`
	DeadlineIn
}

// ModeIn documents the parameters of questions about what was written.
type ModeIn struct {
	Consistency string `query:"consistency" enum:"linearizable,stale" doc:"linearizable: sees everything that was acknowledged before. stale: what this site knows, also when it is cut off"`
	DeadlineIn
}

// PathAccount documents a path that names an account.
type PathAccount struct {
	ID string `path:"id" doc:"<owner>.<purpose>.<asset>" example:"2088000000010420.wallet.CNY"`
}

// PathID documents a path that names a transaction, a transfer or a hold.
type PathID struct {
	ID string `path:"id" format:"uuid"`
}

type issueOwnerIn struct {
	DeadlineIn
}

type openAccountIn struct {
	KeyIn
	Body openAccountBody
}

type openAccountBody struct {
	ID    string `json:"id" doc:"<owner>.<purpose>.<asset>" example:"2088000000010420.wallet.CNY"`
	Limit string `json:"limit,omitempty" enum:"none,debits,credits" doc:"debits: never below zero (wallets). credits: never above. none if left out"`
	Code  uint32 `json:"code,omitempty" format:"int64" maximum:"4294967295" doc:"The caller's own classification"`
	Ref   string `json:"ref,omitempty" doc:"The caller's own reference, a UUID"`
}

type restrictIn struct {
	KeyIn
	PathAccount
}

// AccountIn documents the parameters of questions about an account.
type AccountIn struct {
	PathAccount
	ModeIn
}

type readAccountIn struct {
	AccountIn
	At string `query:"at" format:"date-time" doc:"A past moment; now if left out. The answer never changes: it is given when nothing can come any more that is stamped up to then"`
}

type statementIn struct {
	AccountIn
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"Lines on a page; 100 if left out"`
	Cursor string `query:"cursor" doc:"The next of the page before; left out for the newest lines"`
}

type accountHoldsIn struct {
	AccountIn
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"Holds on a page, at most: some may be left out, and more follow while there is a next; 100 if left out"`
	Cursor string `query:"cursor" doc:"The next of the page before; left out for the newest holds"`
}

type submitIn struct {
	KeyIn
	Body submissionBody
}

type transferIn struct {
	KeyIn
	Body TransferBody
}

type holdIn struct {
	KeyIn
	Body holdRequestBody
}

type holdRequestBody struct {
	ID       string `json:"id,omitempty" format:"uuid" doc:"May be left out when the Idempotency-Key header is sent"`
	Debit    string `json:"debit" doc:"Account that pays"`
	Credit   string `json:"credit" doc:"Account that receives"`
	Amount   int64  `json:"amount" minimum:"1" doc:"In minor units"`
	TimeoutS int64  `json:"timeout_s,omitempty" minimum:"0" doc:"Seconds after which it expires; 0 is never"`
	Code     uint32 `json:"code,omitempty" format:"int64" maximum:"4294967295"`
	Ref      string `json:"ref,omitempty"`
}

type settleIn struct {
	KeyIn
	PathID
	Body *settleBody
}

type settleBody struct {
	ID     string `json:"id,omitempty" format:"uuid" doc:"May be left out when the Idempotency-Key header is sent"`
	Amount int64  `json:"amount,omitempty" minimum:"0" doc:"How much of the hold; all of it if left out"`
	Debit  string `json:"debit,omitempty" doc:"If given, that of the hold. It tells which shard has the hold, so that a site which has not heard of it yet need not ask all; and which hold is meant where an id was used for several"`
	Credit string `json:"credit,omitempty" doc:"If given, that of the hold; see debit"`
	Code   uint32 `json:"code,omitempty" format:"int64" maximum:"4294967295"`
	Ref    string `json:"ref,omitempty"`
}

type voidIn struct {
	KeyIn
	PathID
	Body *voidBody
}

type voidBody struct {
	ID     string `json:"id,omitempty" format:"uuid" doc:"May be left out when the Idempotency-Key header is sent"`
	Debit  string `json:"debit,omitempty" doc:"If given, that of the hold. It tells which shard has the hold, so that a site which has not heard of it yet need not ask all; and which hold is meant where an id was used for several"`
	Credit string `json:"credit,omitempty" doc:"If given, that of the hold; see debit"`
	Code   uint32 `json:"code,omitempty" format:"int64" maximum:"4294967295"`
	Ref    string `json:"ref,omitempty"`
}

// PayerIn documents the parameter that tells payments of one id apart.
type PayerIn struct {
	Debit string `query:"debit" doc:"An account that pays in it. Needed only where an id was used for several payers: without it the one of the shard with the lowest number is shown"`
}

type readIn struct {
	PathID
	PayerIn
	ModeIn
}

type readHoldIn struct {
	PathID
	Debit  string `query:"debit" doc:"The account that pays. It tells which shard has the hold, so that a site which has not heard of it yet need not ask all; where an id was used for several holds the answer is hold-ambiguous without it"`
	Credit string `query:"credit" doc:"The account that receives; see debit"`
	ModeIn
}

type byRefIn struct {
	Ref    string `query:"ref" format:"uuid" doc:"The caller's own reference"`
	Record string `query:"record" maxLength:"200" doc:"The key of a business document of the payments of people, as o/2088000000000000/trade/T-1"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"Transfers on a page; 100 if left out"`
	Cursor string `query:"cursor" doc:"The next of the page before; left out for the newest transfers"`
	ModeIn
}

type recordIn struct {
	Key string `path:"key" maxLength:"200"`
	ModeIn
}

type recordsIn struct {
	Index  string `query:"index" maxLength:"200" doc:"A key that is among the index keys of the records"`
	Prefix string `query:"prefix" maxLength:"200" doc:"What the keys of the records begin with, in place of index: o/, an owner number, a slash, and anything"`
	After  string `query:"after" maxLength:"200" doc:"The next of the page before; left out for the first one"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"Records on a page; 100 if left out"`
	ModeIn
}

type rebuildIn struct {
	DeadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard"`
	Body rebuildBody
}

type trustIn struct {
	DeadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard"`
	Body struct{}
}

type sitePlanIn struct {
	DeadlineIn
	Body SiteRequestBody
}

type siteApplyIn struct {
	DeadlineIn
	Body siteApplyBody
}

type slotPlanIn struct {
	DeadlineIn
	Body SlotRequestBody
}

type slotApplyIn struct {
	DeadlineIn
	Body slotApplyBody
}

type slotStayIn struct {
	DeadlineIn
	Body slotStayBody
}

type splitPlanIn struct {
	DeadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard that is to be split"`
	Body splitRequestBody
}

type splitApplyIn struct {
	DeadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard that is to be split"`
	Body splitApplyBody
}

type splitCancelIn struct {
	DeadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard that is being split"`
	Body struct{}
}

type handOverIn struct {
	DeadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard"`
	Body leaderBody
}
