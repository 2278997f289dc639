package httpapi

import (
	"net/http"

	"holdfast"
	"holdfast/guard"
	"holdfast/site"
)

const (
	get  = http.MethodGet
	post = http.MethodPost
)

// Tags group the operations in the document.
const (
	tagAccounts  = "Accounts"
	tagPayments  = "Payments"
	tagHolds     = "Holds"
	tagCustomers = "Customers"
	tagMerchants = "Merchants"
	tagTrades    = "Trades"
	tagSigningIn = "Signing in"
	tagPeople    = "People"
	tagFleet     = "Fleet"
)

// created is what a POST answers with: 201 for what is new, 200 for what had been done before.
var created = []int{http.StatusCreated, http.StatusOK}

const againDone = "Doing it once more is done and changes nothing. "

// keyOptional is said of changes that can be repeated without harm.
const keyOptional = "The Idempotency-Key is therefore optional. If it is sent, it is the id of the transaction: the same key " +
	"again gives the first outcome again (a replay) and does nothing, so take a fresh one for each new change."

// oneUse is said where something is found by its id alone.
const oneUse = "An id has to be unique over all payers. A shard refuses one that it knows; it does not ask the other shards. Where an id was " +
	"used for payers in several shards all the same, the one of the shard with the lowest number is shown: name the account with debit to see another."

// namesakes is said of holds.
const namesakes = "An id has to be unique over all payers; shards do not ask each other about it. Where several holds go by one id all the same, " +
	"each can be read and ended by whoever names its debit account, and its credit account where that does not tell them apart; without them " +
	"the answer is hold-ambiguous, and nothing was executed."

// routes is the list of all operations.
func (a *api) routes(r *router) {
	a.accountRoutes(r)
	a.paymentRoutes(r)
	a.holdRoutes(r)
	a.commerceRoutes(r)
	a.sessionRoutes(r)
	a.passkeyRoutes(r)
	a.peopleRoutes(r)
	a.fleetRoutes(r)
	a.trendRoutes(r)
	a.safetyRoutes(r)
	a.drillRoutes(r)
}

func (a *api) accountRoutes(r *router) {
	add[issueOwnerIn, jsonOut[ownerBody]](r, operation{
		name: "issue-owner", method: post, path: "/v1/owners", tag: tagAccounts, summary: "Take a fresh owner number",
		text: "Every call gives another number, also a repeated one: a number that is not used costs nothing. There is no transaction " +
			"that an Idempotency-Key could name: it may be sent and changes nothing.",
		action: guard.IssueOwners, ok: []int{http.StatusCreated}, handle: a.postOwner,
	})
	add[openAccountIn, jsonOut[outcomeBody]](r, operation{
		name: "open-account", method: post, path: "/v1/accounts", tag: tagAccounts, summary: "Open an account",
		text:   "Opening an account that exists with the same limit, code and reference is done and changes nothing. " + keyOptional,
		action: guard.OpenAccounts, ok: created, handle: a.postAccount,
	})
	add[readAccountIn, jsonOut[accountBody]](r, operation{
		name: "read-account", method: get, path: "/v1/accounts/{id}", tag: tagAccounts, summary: "Read a balance, now or as of a past moment",
		action: guard.ReadMoney, handle: a.getAccount,
	})
	add[statementIn, jsonOut[statementBody]](r, operation{
		name: "statement", method: get, path: "/v1/accounts/{id}/statement", tag: tagAccounts, summary: "Page through a statement, newest line first",
		action: guard.ReadMoney, handle: a.getStatement,
	})
	add[accountHoldsIn, jsonOut[holdsBody]](r, operation{
		name: "account-holds", method: get, path: "/v1/accounts/{id}/holds", tag: tagAccounts, summary: "Page through the open holds of an account, newest first",
		action: guard.ReadMoney, handle: a.getAccountHolds,
	})
	for _, v := range []struct {
		op                         holdfast.AccountOp
		name, path, summary, again string
	}{
		{holdfast.FreezeAccount, "freeze-account", "/v1/accounts/{id}/freeze", "Stop new transfers of an account; open holds can still be posted or voided", againDone},
		{holdfast.ThawAccount, "thaw-account", "/v1/accounts/{id}/thaw", "End a freeze", againDone},
		{
			holdfast.CloseAccount, "close-account", "/v1/accounts/{id}/close", "Close an empty account for ever",
			"Closing it once more changes nothing and is refused as account-closed; with the key of the first time, it is done. ",
		},
	} {
		add[restrictIn, jsonOut[outcomeBody]](r, operation{
			name: v.name, method: post, path: v.path, tag: tagAccounts, summary: v.summary,
			text:   v.again + keyOptional,
			action: guard.RestrictAccounts, ok: created, handle: a.restrict(v.op),
		})
	}
}

func (a *api) paymentRoutes(r *router) {
	add[submitIn, jsonOut[outcomeBody]](r, operation{
		name: "submit", method: post, path: "/v1/transactions", tag: tagPayments, summary: "Do one transaction, all or nothing, or many independent ones",
		text: "Many ({\"transactions\": [...]}) are answered with 200 and {\"outcomes\": [...]}, one for each, in their order; " +
			"they stand behind single payments. Each of them has an id of its own, so a batch with an Idempotency-Key is refused with 400.",
		action: guard.OpenAccounts, ok: created, handle: a.postTransactions,
	})
	either[outcomesBody](r, "/v1/transactions", post, http.StatusOK)
	add[readIn, jsonOut[decidedBody]](r, operation{
		name: "read-transaction", method: get, path: "/v1/transactions/{id}", tag: tagPayments, summary: "What was asked, and what became of it",
		text:   oneUse,
		action: guard.ReadMoney, handle: a.getTransaction,
	})
	add[transferIn, jsonOut[outcomeBody]](r, operation{
		name: "transfer", method: post, path: "/v1/transfers", tag: tagPayments, summary: "Move an amount: one transfer of any kind",
		text: "Between accounts, by debit and credit; or from one person to another, by from and to, or to_alias. The latter counts against the payer's " +
			"limits and gives both a receipt; it is answered with 200 and the transfer, and the same number again as the first time.",
		action: guard.MoveMoney, buyers: true, ok: created, handle: a.postTransfer,
	})
	eitherIn[SendBody](r, "/v1/transfers", post)
	either[sentBody](r, "/v1/transfers", post, http.StatusOK)
	add[byRefIn, jsonOut[transfersBody]](r, operation{
		name: "find-transfers", method: get, path: "/v1/transfers", tag: tagPayments, summary: "Page through the transfers with a reference, newest first",
		text: "A reference of the caller, or all that was moved for a business document: give either ref or record. Keys are o/ and the number of the owner, then " +
			"/trade/ and the out_trade_no of a merchant's trade, which has its refunds, releases and shares as well; /transfer/ and the number of what a person has sent; " +
			"/freeze/ and the auth_no of what a customer has frozen; /topup/ or /withdraw/ and the number of a customer's; /payout/ and the day and currency (2026-11-27-CNY) of what was paid out to a merchant.",
		action: guard.ReadMoney, handle: a.getTransfersByRef,
	})
	add[readIn, jsonOut[MovementBody]](r, operation{
		name: "read-transfer", method: get, path: "/v1/transfers/{id}", tag: tagPayments, summary: "Read one transfer",
		text:   oneUse,
		action: guard.ReadMoney, handle: a.getTransfer,
	})
	add[recordIn, jsonOut[recordBody]](r, operation{
		name: "read-record", method: get, path: "/v1/records/{key}", tag: tagPayments, summary: "Read a business document",
		action: guard.ReadMoney, handle: a.getRecord,
	})
	add[recordsIn, jsonOut[recordsBody]](r, operation{
		name: "find-records", method: get, path: "/v1/records", tag: tagPayments, summary: "Find business documents by an index key, or those of an owner by how their keys begin",
		text:   "By an index key those of every shard, in the order of their keys, page by page. Give either index or prefix.",
		action: guard.ReadMoney, handle: a.getRecords,
	})
	a.messageRoutes(r)
}

func (a *api) messageRoutes(r *router) {
	add[messagesIn, jsonOut[messagesBody]](r, operation{
		name: "read-messages", method: get, path: "/v1/messages", tag: tagPayments, summary: "Read the messages of an outbox that nobody has acknowledged",
		text: "A message is put into the outbox of its transaction's shard, and stays there until it is acknowledged. Read, do what is to " +
			"be done, acknowledge: then each is seen at least once; seen again, it has the same shard and number.",
		action: guard.ReadMoney, handle: a.getMessages,
	})
	add[acknowledgeIn, jsonOut[outcomeBody]](r, operation{
		name: "acknowledge-messages", method: post, path: "/v1/messages/acknowledge", tag: tagPayments, summary: "Drop messages that have been dealt with",
		text:   "All of them or none: a number that no message of callers has had is refused with 404. " + againDone + keyOptional,
		action: guard.MoveMoney, ok: created, handle: a.postAcknowledge,
	})
}

func (a *api) holdRoutes(r *router) {
	add[holdIn, jsonOut[outcomeBody]](r, operation{
		name: "hold", method: post, path: "/v1/holds", tag: tagHolds, summary: "Reserve an amount until it is posted, voided or expires",
		text:   "The id of the request is the id of the hold: a fresh one, that no other payer has used. " + namesakes,
		action: guard.MoveMoney, ok: created, handle: a.postHold,
	})
	add[readHoldIn, jsonOut[holdBody]](r, operation{
		name: "read-hold", method: get, path: "/v1/holds/{id}", tag: tagHolds, summary: "Read a hold, open or not",
		text:   namesakes,
		action: guard.ReadMoney, handle: a.getHold,
	})
	add[settleIn, jsonOut[outcomeBody]](r, operation{
		name: "post-hold", method: post, path: "/v1/holds/{id}/post", tag: tagHolds, summary: "Turn a hold, or a part of it, into a movement",
		text:   "What is left of the hold is released. The body may be left out. " + namesakes,
		action: guard.MoveMoney, ok: created, handle: a.postHoldPost,
	})
	add[voidIn, jsonOut[outcomeBody]](r, operation{
		name: "void-hold", method: post, path: "/v1/holds/{id}/void", tag: tagHolds, summary: "Release a hold",
		text:   "The body may be left out. " + namesakes,
		action: guard.MoveMoney, ok: created, handle: a.postHoldVoid,
	})
}

func (a *api) fleetRoutes(r *router) {
	add[DeadlineIn, jsonOut[sitesBody]](r, operation{
		name: "sites", method: get, path: "/v1/sites", tag: tagFleet, summary: "The sites, as this one sees them",
		action: guard.ReadFleet, handle: a.getSites,
	})
	add[DeadlineIn, jsonOut[shardsBody]](r, operation{
		name: "shards", method: get, path: "/v1/shards", tag: tagFleet, summary: "The shards, as this site sees them",
		action: guard.ReadFleet, handle: a.getShards,
	})
	add[handOverIn, jsonOut[handedOverBody]](r, operation{
		name: "hand-over", method: post, path: "/v1/shards/{id}/leader", tag: tagFleet, summary: "Move the leadership of a shard to a site",
		text: "It costs no failed request, and the site becomes the home of the shard: after a failure of the site the leadership " +
			"comes back to it. Refused with not-now nothing has changed, the home neither. With outcome-unknown the site may be the home: then the " +
			"leadership goes there by itself when it can. Asking for the site that leads already is done, so it may be repeated. There is no " +
			"transaction that an Idempotency-Key could name: it may be sent and changes nothing.",
		action: guard.MoveLeaders, handle: a.postLeader,
	})
	add[DeadlineIn, jsonOut[survivalBody]](r, operation{
		name: "survival", method: get, path: "/v1/survival", tag: tagFleet, summary: "What would happen now if a carrier, a cable, a site or two sites failed",
		text: "Worked out every second from what the sites say of themselves, of the carriers between them, and of what they lead: which " +
			"shards keep a majority, who would lead, how long they would pause, and the first thing that would break.",
		action: guard.ReadFleet, handle: a.getSurvival,
	})
	add[rebuildIn, jsonOut[rebuiltBody]](r, operation{
		name: "rebuild", method: post, path: "/v1/shards/{id}/rebuild", tag: tagFleet, summary: "Wipe the replica of the site that is asked, so that it joins again",
		text: "For a replica that is out of service. It asks the other sites first, and is refused with not-now, saying what is missing, when " +
			"wiping could lose acknowledged payments. With force nobody is asked: what only this disk holds is gone then. A replica " +
			"in service may be rebuilt too, and goes on as it is when that is refused. Repeating it wipes again. There is no transaction " +
			"that an Idempotency-Key could name: it may be sent and changes nothing.",
		action: guard.RebuildReplicas, handle: a.postRebuild,
	})
	add[trustIn, jsonOut[trustedBody]](r, operation{
		name: "trust", method: post, path: "/v1/shards/{id}/trust", tag: tagFleet, summary: "Decide that the state of the replica of the site that is asked is right",
		text: "For replicas that differ when no majority of the voters has the same state: two voters, or sites that are gone for good. " +
			"The replica leads and answers again; those that differ stay out of service until they are rebuilt. The decision " +
			"is stored: it holds when the site starts again. What the others have and this one has not is not looked for: audit the books of each first. For a replica " +
			"that is not in doubt it changes nothing. There is no transaction that an Idempotency-Key could name: it may be sent and changes nothing.",
		action: guard.RebuildReplicas, handle: a.postTrust,
	})
	add[sitePlanIn, jsonOut[sitePlanBody]](r, operation{
		name: "plan-sites", method: post, path: "/v1/sites/plan", tag: tagFleet, summary: "Show what a change of sites would do: one that comes, is replaced or retired, gets or loses its vote",
		text: "It changes nothing. Step by step: who would vote, how many of them have to store a payment, which single losses the fleet would " +
			"survive while the step lasts and after it, what there is to copy, and what each site would lead. Refused with not-now, saying why, " +
			"when it would leave too few voters or stop a shard, when a site does not answer or is not reached, when a learner that is to get its vote has not caught up, and when a number, " +
			"name or address is in use. There is no transaction that an Idempotency-Key could name: it may be sent and changes nothing.",
		action: guard.ChangeSites, handle: showPlan(a, siteRequest(siteRequestMembers), a.site.PlanSites, sitePlanBodyOf),
	})
	add[siteApplyIn, jsonOut[orderedBody]](r, operation{
		name: "apply-sites", method: post, path: "/v1/sites/apply", tag: tagFleet, summary: "Order what a plan has shown",
		text: "The request and the id of its plan; refused with plan-stale when anything has changed since. It is answered when the order " +
			"stands in the log; the fleet carries it out by itself, whatever fails meanwhile, and /v1/sites shows how far it is. Ordering " +
			"the same plan again is done and changes nothing. There is no transaction that an Idempotency-Key could name: it may be sent and changes nothing.",
		action: guard.ChangeSites, handle: applyPlan(a, "/v1/sites/plan", siteRequest(siteApplyMembers), a.site.ApplySites),
	})
	a.slotRoutes(r)
	a.splitRoutes(r)
	add[DeadlineIn, jsonOut[auditBody]](r, operation{
		name: "audit", method: get, path: "/v1/audit", tag: tagFleet, summary: "Recount the books and compare the replicas",
		action: guard.ReadFleet, handle: a.getAudit,
	})
	add[DeadlineIn, jsonOut[aliveBody]](r, operation{
		name: "livez", method: get, path: "/livez", tag: tagFleet, summary: "The process answers", free: true, handle: a.getLive,
	})
	add[DeadlineIn, jsonOut[aliveBody]](r, operation{
		name: "readyz", method: get, path: "/readyz", tag: tagFleet, summary: "The site takes requests and hears a majority", free: true, handle: a.getReady,
	})
	r.mount(operation{name: "metrics", method: get, path: "/metrics", free: true, handle: a.getMetrics})
}

func (a *api) slotRoutes(r *router) {
	add[slotPlanIn, jsonOut[SlotPlanBody]](r, operation{
		name: "plan-slots", method: post, path: "/v1/slots/plan", tag: tagFleet, summary: "Show what moving slots to another shard would do",
		text: "It changes nothing. Which accounts and open holds would move, what each of the two shards has and carries now and after, which " +
			"single losses would be survived before, while a slot is on its way, and after, and about how long its owners would wait. Refused with " +
			"not-now, saying why, when the slots are in several shards or there already, when one is on its way or has come too lately, and when " +
			"a site does not know how to move slots. There is no transaction that an Idempotency-Key could name: it may be sent and changes nothing.",
		action: guard.MoveSlots, handle: showPlan(a, slotRequest(slotRequestMembers), a.site.PlanSlots, func(p *site.SlotPlan) any { return slotPlanBodyOf(p) }),
	})
	add[slotApplyIn, jsonOut[orderedBody]](r, operation{
		name: "apply-slots", method: post, path: "/v1/slots/apply", tag: tagFleet, summary: "Order the moves that a plan has shown",
		text: "The request and the id of its plan; refused with plan-stale when the shard map has changed since. It is answered when the order " +
			"stands in the log; the fleet moves the slots by itself, one after the other, whatever fails meanwhile, and /v1/shards shows how far that is. " +
			"No payment fails: those of a slot that is on its way wait and go where it is. Ordering the same plan again is done and changes " +
			"nothing. There is no transaction that an Idempotency-Key could name: it may be sent and changes nothing.",
		action: guard.MoveSlots, handle: applyPlan(a, "/v1/slots/plan", slotRequest(slotApplyMembers), a.site.ApplySlots),
	})
	add[slotStayIn, jsonOut[slotKeptBody]](r, operation{
		name: "stay-slots", method: post, path: "/v1/slots/stay", tag: tagFleet, summary: "Give up moves that are not decided yet",
		text: "The slots stay in the shard where they are, and what was copied is put back. Refused with not-now when no move of these slots " +
			"is under way, or all are decided. Each shard is asked by itself: the answer says what was done, and in which shards it could not " +
			"be done or nobody knows. Asking again may find nothing left to give up. There is no transaction that an Idempotency-Key " +
			"could name: it may be sent and changes nothing.",
		action: guard.MoveSlots, handle: a.postSlotStay,
	})
}

func (a *api) splitRoutes(r *router) {
	add[splitPlanIn, jsonOut[splitPlanBody]](r, operation{
		name: "plan-split", method: post, path: "/v1/shards/{id}/split/plan", tag: tagFleet, summary: "Show what splitting a shard would do",
		text: "It changes nothing. Which shard would be born and where it would be led; which slots would go to it, with how many accounts and open " +
			"holds and how much of the load; what each site would lead; which single losses would be survived before, while a slot is on its way, and " +
			"after; and about how long its owners would wait. Refused with not-now, saying why, when a split, a birth of a shard or a change of sites " +
			"is under way, when a site does not answer or does not know how, and when there is nothing to divide. There is no transaction that " +
			"an Idempotency-Key could name: it may be sent and changes nothing.",
		action: guard.SplitShards, handle: showPlan(a, splitRequest(splitRequestMembers), a.site.PlanSplit, splitPlanBodyOf),
	})
	add[splitApplyIn, jsonOut[orderedBody]](r, operation{
		name: "apply-split", method: post, path: "/v1/shards/{id}/split/apply", tag: tagFleet, summary: "Order the split that a plan has shown",
		text: "The slots that the plan has shown, and its id; refused with plan-stale when the shard map or the list of sites has changed since. It is " +
			"answered when the order stands in the log; the fleet lets the shard be born and moves the slots by itself, one after the other, whatever " +
			"fails meanwhile, and /v1/shards shows how far that is. No payment fails. Ordering the same plan again is done and changes nothing. " +
			"There is no transaction that an Idempotency-Key could name: it may be sent and changes nothing.",
		action: guard.SplitShards, handle: applyPlan(a, "/v1/shards/{id}/split/plan", splitRequest(splitApplyMembers), a.site.ApplySplit),
	})
	add[splitCancelIn, jsonOut[splitBody]](r, operation{
		name: "cancel-split", method: post, path: "/v1/shards/{id}/split/cancel", tag: tagFleet, summary: "Give up the split of a shard that is under way",
		text: "While the founders of the new shard are not named, nothing is left of it. Later that shard is born, and the slots stay whose moves are not " +
			"decided; those that have come to it are there, and can be moved back. Refused with not-now when no split of the shard is under way. " +
			"Asking again while it is being given up is done. There is no transaction that an Idempotency-Key could name: it may be sent and changes nothing.",
		action: guard.SplitShards, handle: a.postSplitCancel,
	})
}
