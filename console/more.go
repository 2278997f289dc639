package console

import "holdfast/page"

// moreRoutes are the pages with which an operator works: the shard map, documents, people, money.
func (p *pages) moreRoutes(s *page.Shell) {
	s.Page("GET /console/hour", p.showHour)
	s.Page("GET /console/search", p.showSearch)
	s.Page("POST /console/search", p.search)

	s.Page("GET /console/shards", p.showShards)
	s.Live("GET /console/shards/live", "shards", mapEvery, p.tellShards)
	for _, kind := range []string{"move", "split", "sites"} {
		s.Page("GET /console/shards/"+kind, p.showPlan(kind))
		s.Page("POST /console/shards/"+kind, p.applyPlan(kind))
	}
	s.Page("GET /console/shards/leader", p.askLeader)
	s.Page("POST /console/shards/leader", p.handOver)
	s.Page("GET /console/shards/stay", p.askStay)
	s.Page("POST /console/shards/stay", p.stay)
	s.Page("GET /console/shards/cancel", p.askCancel)
	s.Page("POST /console/shards/cancel", p.cancelSplit)

	s.Page("GET /console/trades/{merchant}/{number}", p.showTrade)
	s.Page("GET /console/trades/{merchant}/{number}/decide", p.askDispute)
	s.Page("POST /console/trades/{merchant}/{number}/decide", p.decideDispute)
	s.Page("GET /console/authorisations/{owner}/{number}", p.showAuthorisation)
	s.Page("GET /console/top-ups/{owner}/{number}", p.showTopUp)
	s.Page("GET /console/sent/{owner}/{number}", p.showSent)
	s.Page("GET /console/settlements/{owner}/{day}", p.showSettlement)
	s.Page("GET /console/payouts/{owner}/{number}", p.showPayout)
	s.Page("GET /console/payouts/{owner}/{number}/decide", p.askPayout)
	s.Page("POST /console/payouts/{owner}/{number}/decide", p.decidePayout)

	s.Page("GET /console/owners/{id}", p.showOwner)
	s.Page("GET /console/owners/{id}/do/{act}", p.askOwner)
	s.Page("POST /console/owners/{id}/do/{act}", p.actOnOwner)
	s.Page("GET /console/owners/{id}/limits/{asset}", p.askLimits)
	s.Page("POST /console/owners/{id}/limits/{asset}", p.setLimits)
	s.Page("POST /console/owners/{id}/invite", p.inviteOwner)

	s.Page("GET /console/people", p.showPeople)
	s.Page("POST /console/people", p.addOperator)
	s.Page("GET /console/people/{person}/do/{act}", p.askPerson)
	s.Page("POST /console/people/{person}/do/{act}", p.actOnPerson)
	s.Page("POST /console/people/{person}/invite", p.invitePerson)

	s.Page("GET /console/money", p.showBanks)
	s.Page("GET /console/money/cases/{case}", p.showCase)
	s.Page("POST /console/money/cases/{case}", p.workCase)
	s.Page("GET /console/money/deposits/{deposit}", p.askDeposit)
	s.Page("POST /console/money/deposits/{deposit}", p.assignDeposit)
}
