package evidence

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdfast"
	"holdfast/proof"
)

// entry is one line of a statement of a merchant, as the ledger of a site has it.
type entry struct {
	ref      holdfast.Ref
	customer holdfast.Owner // on the other side; 0: the merchant himself
	in, out  holdfast.Amount
	fees     bool // on the account of the fees
}

// shop is a merchant who has sold two things, given half of one back, and was paid.
type shop struct {
	*stand
	seller  Seller
	buyers  [2]holdfast.Owner
	entries map[holdfast.SiteID][]entry
	payout  holdfast.Amount
}

const shopDay = "2026-05-27"

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{stand: newStand(t), entries: map[holdfast.SiteID][]entry{}, payout: 994}
	s.buyers = [2]holdfast.Owner{s.account(20, "wallet").Owner, s.account(21, "wallet").Owner}
	s.seller = Seller{Merchant: s.account(30, "settlement").Owner, Asset: s.till.Asset, BasisPoints: 60}
	s.run.Sellers = []Seller{s.seller}
	m, a, b := s.seller.Merchant, s.buyers[0], s.buyers[1]
	s.run.Deals = []Deal{
		{Merchant: m, Number: "T1", Customer: a, Amount: 1000, Fee: 6, Outcome: "done"},
		{Merchant: m, Number: "T2", Customer: b, Amount: 500, Fee: 3, Outcome: "done"},
		{Merchant: m, Number: "T3", Customer: b, Amount: 70, Outcome: "refused"},
		{Merchant: m, Number: "T1", Request: "R1", Customer: a, Amount: 500, Fee: 3, Outcome: "done"},
	}
	one, two := refOf(m, "trade/T1"), refOf(m, "trade/T2")
	for id := range s.bodies {
		s.entries[id] = []entry{
			{ref: one, customer: a, in: 994},
			{ref: one, customer: a, in: 6, fees: true},
			{ref: two, customer: b, in: 497},
			{ref: two, customer: b, in: 3, fees: true},
			{ref: one, customer: a, out: 497},
			{ref: one, customer: a, out: 3, fees: true},
			{ref: refOf(m, "settled/"+shopDay+"/GBP"), out: 994},
		}
	}
	return s
}

// write makes what the sites sign of the shop.
func (s *shop) write() {
	for id, list := range s.entries {
		for _, fees := range []bool{false, true} {
			account := s.seller.settlement()
			if fees {
				account = s.seller.fees()
			}
			var lines []string
			var in, out holdfast.Amount
			for i, e := range list {
				if e.fees != fees {
					continue
				}
				other := holdfast.AccountID{Owner: e.customer, Purpose: holdfast.MustPurpose("wallet"), Asset: account.Asset}
				if e.customer == 0 {
					other = holdfast.AccountID{Owner: account.Owner, Purpose: holdfast.MustPurpose("outgoing"), Asset: account.Asset}
				}
				debit, credit := other, account
				if e.out > 0 {
					debit, credit = account, other
				}
				in, out = in+e.in, out+e.out
				lines = append(lines, fmt.Sprintf(`{"id":%q,"kind":"immediate","debit":%q,"credit":%q,"amount":%d,"ref":%q,"transaction":%q,"leg":0,"time":"2026-05-27T12:00:00Z","shard":1,"index":%d,"debits_posted":%d,"credits_posted":%d}`,
					holdfast.ID{1: byte(i + 1), 2: 7, 6: 0x70, 8: 0x80}, debit, credit, e.in+e.out, e.ref, holdfast.ID{1: byte(i + 1), 2: 8, 6: 0x70, 8: 0x80}, i, out, in))
			}
			slices.Reverse(lines)
			s.bodies[id]["/v1/accounts/"+account.String()+"/statement?limit=1000"] = `{"lines":[` + strings.Join(lines, ",") + `]}`
		}
		s.bodies[id]["/v1/settlements?limit=1000&merchant="+s.seller.Merchant.String()] = fmt.Sprintf(
			`{"settlements":[{"merchant":%q,"day":%q,"asset":"GBP","payments":2,"paid":1500,"fees":6,"refunds":1,"refunded":500,"net":994,"payout":%d}]}`, s.seller.Merchant, shopDay, s.payout)
	}
}

func TestTradesAreHeldAgainstTheLedger(t *testing.T) {
	for _, row := range []struct {
		name   string
		before func(s *shop) // the sites sign
		after  func(s *shop)
		broken string // "": nothing
	}{
		{name: "sound"},
		{name: "an acknowledged trade is missing at one site", before: func(s *shop) {
			s.entries[2] = slices.DeleteFunc(s.entries[2], func(e entry) bool { return e.customer == s.buyers[1] })
		}, broken: `lost at site 2: trade "T2"`},
		{name: "its fee alone is missing everywhere", before: func(s *shop) {
			for id := range s.entries {
				s.entries[id] = slices.Delete(s.entries[id], 3, 4)
			}
		}, broken: "fee of 3 were acknowledged, and are not in the ledger"},
		{name: "a refund is missing", before: func(s *shop) { s.entries[1] = slices.Delete(s.entries[1], 4, 6) }, broken: "refunds of 497 were acknowledged"},
		{name: "the amount in the ledger is another", before: func(s *shop) { s.entries[3][0].in++ }, broken: `altered at site 3: trade "T1"`},
		{name: "a trade is there twice", before: func(s *shop) { s.entries[1] = append(s.entries[1], s.entries[1][2:4]...) }, broken: `doubled at site 1: trade "T2"`},
		{name: "a refund is there twice", before: func(s *shop) { s.entries[1] = append(s.entries[1], s.entries[1][4:6]...) }, broken: "doubled at site 1"},
		{name: "somebody else has paid", before: func(s *shop) { s.entries[2][2].customer = s.buyers[0] }, broken: "acknowledged was"},
		{name: "an entry that no trade explains", before: func(s *shop) {
			s.entries[1] = append(s.entries[1], entry{ref: holdfast.Ref{9}, customer: s.buyers[0], in: 5})
		}, broken: "no trade or settlement explains"},
		{name: "a site has signed no statement of the merchant", before: func(s *shop) { s.entries[2] = nil }, broken: "lost at site 2"},
		{name: "the payout is another than the settlement", before: func(s *shop) { s.payout-- }, broken: "pays out 993, and on the statement are 994"},
		{name: "the settlements are left out", after: func(s *shop) { s.drop("/v1/settlements") }, broken: "no trade or settlement explains"},
		{name: "the statement of the fees is left out", after: func(s *shop) { s.drop(".fee.") }, broken: "has signed no statement of"},
		{name: "the receipt of a trade is left out", after: func(s *shop) { s.run.Deals = slices.Delete(s.run.Deals, 1, 2) }, broken: "no trade or settlement explains"},
		{name: "the receipt of a refund is left out", after: func(s *shop) { s.run.Deals = s.run.Deals[:3] }, broken: "doubled at site 1"},
		{name: "a receipt has another amount", after: func(s *shop) { s.run.Deals[1].Amount, s.run.Deals[1].Fee = 501, 3 }, broken: "altered at site 1"},
		{name: "a receipt has another fee", after: func(s *shop) { s.run.Deals[1].Fee = 2 }, broken: "agreed is 3"},
		{name: "a refund has another fee", after: func(s *shop) { s.run.Deals[3].Fee = 4 }, broken: "it has to be 3"},
		{name: "a receipt says refused, and it is there", after: func(s *shop) { s.run.Deals[1].Outcome = "refused" }, broken: "no trade or settlement explains"},
		{name: "a refused one says done", after: func(s *shop) { s.run.Deals[2].Outcome = "done" }, broken: `trade "T3"`},
		{name: "a receipt is there twice", after: func(s *shop) { s.run.Deals = append(s.run.Deals, s.run.Deals[0]) }, broken: "acknowledged twice"},
		{name: "a refund is acknowledged twice", after: func(s *shop) { s.run.Deals = append(s.run.Deals, s.run.Deals[3]) }, broken: "was acknowledged twice"},
		{name: "the merchant is left out", after: func(s *shop) { s.run.Sellers, s.run.Deals = nil, nil }, broken: "no receipt asks for it"},
		{name: "more was given back than paid", after: func(s *shop) { s.run.Deals[3].Amount = 1001 }, broken: "of 1000"},
	} {
		s := newShop(t)
		if row.before != nil {
			row.before(s)
		}
		s.write()
		s.sign()
		if row.after != nil {
			row.after(s)
		}
		v := s.run.Check(nil)
		found := strings.Join(v.Broken, "\n")
		if v.OK != (row.broken == "") || !strings.Contains(found, row.broken) {
			t.Errorf("%s: %t, %q; want %q", row.name, v.OK, found, row.broken)
		}
		if row.broken == "" && !strings.Contains(strings.Join(v.Proved, "\n"), "2 trades and 1 refunds that were acknowledged") {
			t.Errorf("what was proved: %q", v.Proved)
		}
	}
}

// drop leaves out the answers to questions that have a text in them.
func (s *shop) drop(has string) {
	s.run.Answers = slices.DeleteFunc(s.run.Answers, func(a proof.Answer) bool { return strings.Contains(a.Target, has) })
}

// TestARunWithoutTradesIsReadAsBefore: and one with more than a file can have says how many are left out.
func TestARunWithoutTradesIsReadAsBefore(t *testing.T) {
	s := newStand(t)
	s.run.DealsLeft = MaxDeals + 1
	s.sign()
	if v := s.run.Check(nil); !v.OK || !strings.Contains(strings.Join(v.Proved, "\n"), fmt.Sprint(MaxDeals+1, " trades and refunds are left out")) {
		t.Errorf("%+v", v)
	}
}
