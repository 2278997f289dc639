package httpapi

// What the document of the API says about parameters. The requests are read by hand; see the handlers.

type jsonOut[T any] struct{ Body T }

type deadlineIn struct {
	Deadline int `header:"X-Deadline-Ms" minimum:"1" maximum:"10000" doc:"Deadline of the request in milliseconds; 2000 if left out"`
}

type keyIn struct {
	Key string `header:"Idempotency-Key" maxLength:"255" doc:"A UUID: the id of the transaction. Any other text is turned into one, together with the name of the API key. Send the same again when you ask again" example:"0190f3c6-2a3b-7c4d-8e5f-001122334455"`
	deadlineIn
}

type modeIn struct {
	Consistency string `query:"consistency" enum:"linearizable,stale" doc:"linearizable: sees everything that was acknowledged before. stale: what this site knows, also when it is cut off"`
	deadlineIn
}

type pathAccount struct {
	ID string `path:"id" doc:"<owner>.<purpose>.<asset>" example:"2088000000010420.wallet.CNY"`
}

type pathID struct {
	ID string `path:"id" format:"uuid"`
}

type issueOwnerIn struct {
	deadlineIn
}

type openAccountIn struct {
	keyIn
	Body openAccountBody
}

type openAccountBody struct {
	ID    string `json:"id" doc:"<owner>.<purpose>.<asset>" example:"2088000000010420.wallet.CNY"`
	Limit string `json:"limit,omitempty" enum:"none,debits,credits" doc:"debits: never below zero (wallets). credits: never above. none if left out"`
	Code  uint32 `json:"code,omitempty" doc:"The caller's own classification"`
	Ref   string `json:"ref,omitempty" doc:"The caller's own reference, a UUID"`
}

type restrictIn struct {
	keyIn
	pathAccount
}

type accountIn struct {
	pathAccount
	modeIn
}

type readAccountIn struct {
	accountIn
	At string `query:"at" format:"date-time" doc:"A past moment; now if left out. The answer never changes: it is given when nothing can come any more that is stamped up to then"`
}

type statementIn struct {
	accountIn
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" doc:"Lines on a page; 100 if left out"`
	Cursor string `query:"cursor" doc:"The next of the page before; left out for the newest lines"`
}

type submitIn struct {
	keyIn
	Body submissionBody
}

type transferIn struct {
	keyIn
	Body transferBody
}

type holdIn struct {
	keyIn
	Body holdRequestBody
}

type holdRequestBody struct {
	ID       string `json:"id,omitempty" format:"uuid" doc:"May be left out when the Idempotency-Key header is sent"`
	Debit    string `json:"debit" doc:"Account that pays"`
	Credit   string `json:"credit" doc:"Account that receives"`
	Amount   int64  `json:"amount" minimum:"1" doc:"In minor units"`
	TimeoutS int64  `json:"timeout_s,omitempty" minimum:"0" doc:"Seconds after which it expires; 0 is never"`
	Code     uint32 `json:"code,omitempty"`
	Ref      string `json:"ref,omitempty"`
}

type settleIn struct {
	keyIn
	pathID
	Body *settleBody
}

type settleBody struct {
	ID     string `json:"id,omitempty" format:"uuid" doc:"May be left out when the Idempotency-Key header is sent"`
	Amount int64  `json:"amount,omitempty" minimum:"0" doc:"How much of the hold; all of it if left out"`
	Debit  string `json:"debit,omitempty" doc:"If given, that of the hold"`
	Credit string `json:"credit,omitempty" doc:"If given, that of the hold"`
	Code   uint32 `json:"code,omitempty"`
	Ref    string `json:"ref,omitempty"`
}

type voidIn struct {
	keyIn
	pathID
	Body *voidBody
}

type voidBody struct {
	ID     string `json:"id,omitempty" format:"uuid" doc:"May be left out when the Idempotency-Key header is sent"`
	Debit  string `json:"debit,omitempty" doc:"If given, that of the hold"`
	Credit string `json:"credit,omitempty" doc:"If given, that of the hold"`
	Code   uint32 `json:"code,omitempty"`
	Ref    string `json:"ref,omitempty"`
}

type readIn struct {
	pathID
	modeIn
}

type byRefIn struct {
	Ref string `query:"ref" required:"true" format:"uuid" doc:"The caller's own reference"`
	modeIn
}

type recordIn struct {
	Key string `path:"key" maxLength:"200"`
	modeIn
}

type recordsIn struct {
	Index string `query:"index" required:"true" maxLength:"200" doc:"A key that is among the index keys of the records"`
	After string `query:"after" maxLength:"200" doc:"The next of the page before; left out for the first one"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" doc:"Records on a page; 100 if left out"`
	modeIn
}

type rebuildIn struct {
	deadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard"`
	Body rebuildBody
}

type trustIn struct {
	deadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard"`
	Body struct{}
}

type sitePlanIn struct {
	deadlineIn
	Body siteRequestBody
}

type siteApplyIn struct {
	deadlineIn
	Body siteApplyBody
}

type slotPlanIn struct {
	deadlineIn
	Body slotRequestBody
}

type slotApplyIn struct {
	deadlineIn
	Body slotApplyBody
}

type slotStayIn struct {
	deadlineIn
	Body slotStayBody
}

type splitPlanIn struct {
	deadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard that is to be split"`
	Body splitRequestBody
}

type splitApplyIn struct {
	deadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard that is to be split"`
	Body splitApplyBody
}

type splitCancelIn struct {
	deadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard that is being split"`
	Body struct{}
}

type handOverIn struct {
	deadlineIn
	ID   uint16 `path:"id" doc:"Number of the shard"`
	Body leaderBody
}
