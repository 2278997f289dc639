package evidence

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/bits"
	"net/url"
	"slices"
	"strings"

	"holdfast"
	"holdfast/client"
)

// MaxDeals is how many deals a run has at most; of one that had more none are in the file, and it says so.
const MaxDeals = 400_000

// Deal is what a caller wrote down of a trade that was paid, or of a refund of one: what was asked, and the last word of the answer.
type Deal struct {
	Merchant holdfast.Owner  `json:"merchant"`
	Number   string          `json:"number"`            // out_trade_no
	Request  string          `json:"request,omitempty"` // out_request_no of a refund; "": it is the payment
	Customer holdfast.Owner  `json:"customer"`
	Amount   holdfast.Amount `json:"amount"`
	Fee      holdfast.Amount `json:"fee,omitempty"` // taken with the payment, or given back with the refund, as the answer says
	Outcome  string          `json:"outcome"`       // done, refused, not-executed, unknown
}

// Seller is a merchant, with the fees that were agreed with him.
type Seller struct {
	Merchant    holdfast.Owner  `json:"merchant"`
	Asset       holdfast.Asset  `json:"asset"`
	BasisPoints uint32          `json:"basis_points"` // of ten thousand of the amount, rounded half up
	Fixed       holdfast.Amount `json:"fixed,omitempty"`
}

var (
	settlementPurpose = holdfast.MustPurpose("settlement")
	feesPurpose       = holdfast.MustPurpose("fee")
)

func (s *Seller) settlement() holdfast.AccountID {
	return holdfast.AccountID{Owner: s.Merchant, Purpose: settlementPurpose, Asset: s.Asset}
}

func (s *Seller) fees() holdfast.AccountID {
	return holdfast.AccountID{Owner: s.Merchant, Purpose: feesPurpose, Asset: s.Asset}
}

// fee is what the platform takes of an amount, never more than all of it.
func (s *Seller) fee(amount holdfast.Amount) holdfast.Amount {
	fee := portion(amount, holdfast.Amount(s.BasisPoints), 10_000)
	if rest := uint64(amount) * uint64(s.BasisPoints) % 10_000; rest >= 5_000 {
		fee++
	}
	return min(fee+s.Fixed, amount)
}

// portion is part/whole of an amount, rounded down.
func portion(amount, part, whole holdfast.Amount) holdfast.Amount {
	if amount <= 0 || part <= 0 || whole <= 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(amount), uint64(part))
	if hi >= uint64(whole) {
		return 0 // no amount of money
	}
	q, _ := bits.Div64(hi, lo, uint64(whole))
	return holdfast.Amount(q)
}

// dealKey names a trade.
type dealKey struct {
	merchant holdfast.Owner
	number   string
}

func (k dealKey) String() string { return fmt.Sprintf("trade %q of merchant %s", k.number, k.merchant) }

// refOf is the reference of the entries of a record: the beginning of a hash of its key.
func refOf(owner holdfast.Owner, rest string) holdfast.Ref {
	sum := sha256.Sum256([]byte(holdfast.OwnedKey(owner, rest)))
	return holdfast.Ref(sum[:len(holdfast.Ref{})])
}

// sale is a trade that was acknowledged, with its refunds.
type sale struct {
	dealKey
	Deal
	refunds  int
	refunded holdfast.Amount
	feeBack  holdfast.Amount
}

// posting is one change of an account.
type posting struct {
	in, out holdfast.Amount
	other   holdfast.Owner // on the other side; 0: it is not told
}

// postings are what the lines of an account, newest first, have posted, by reference. What that is is told by the totals behind each line. What goes
// to another shard stands there twice, as it is held and as it is posted.
func postings(account holdfast.AccountID, lines []client.Line) map[holdfast.Ref][]posting {
	all := map[holdfast.Ref][]posting{}
	holds := map[holdfast.ID]*client.Line{}
	var before client.Line // before the oldest there was nothing
	for i := len(lines) - 1; i >= 0; i-- {
		l := &lines[i]
		holds[l.ID] = l
		p := posting{in: l.CreditsPosted - before.CreditsPosted, out: l.DebitsPosted - before.DebitsPosted}
		if i < len(lines)-1 && l.Shard != before.Shard && l.Balance() != before.Balance()+p.in-p.out {
			p.in, p.out = max(0, l.Balance()-before.Balance()), max(0, before.Balance()-l.Balance()) // it has moved: the sums have begun anew
		}
		before = *l
		if p.in == 0 && p.out == 0 {
			continue
		}
		of := l
		if h := holds[l.Transfer.Hold]; l.Kind == holdfast.Post && h != nil {
			of = h
		}
		switch account {
		case of.Debit:
			p.other = of.Credit.Owner
		case of.Credit:
			p.other = of.Debit.Owner
		}
		all[of.Ref] = append(all[of.Ref], p)
	}
	return all
}

// trades holds what merchants and their customers were told against the statements of what merchants have earned and of what the platform has taken
// from them, and against the settlements.
func (j *judge) trades() {
	if j.run.DealsLeft > 0 {
		j.prove("%d trades and refunds are left out of this file: a file has no more than %d", j.run.DealsLeft, MaxDeals)
	}
	if len(j.run.Sellers)+len(j.run.Deals) == 0 {
		return
	}
	sales, sellers := j.sales()
	trades, refunds, fees := 0, 0, holdfast.Amount(0)
	for _, s := range sales {
		trades, refunds, fees = trades+1, refunds+s.refunds, fees+s.Fee-s.feeBack
	}
	days := 0
	for _, id := range slices.Sorted(maps.Keys(j.sites)) {
		for _, merchant := range slices.Sorted(maps.Keys(sellers)) {
			days += j.seller(id, sellers[merchant], sales)
		}
	}
	j.prove("%d trades and %d refunds that were acknowledged, each with its entries of these amounts, once, on the statements of %d merchants at %d sites; the fees add up to %d",
		trades, refunds, len(sellers), len(j.sites), fees)
	if days > 0 {
		j.prove("%d settled days, of all sites together, come to what was acknowledged, and each payout is on the statement", days)
	}
}

// sales puts the deals together and checks them against each other: nobody was told two things, and fees are those that were agreed.
func (j *judge) sales() (map[dealKey]*sale, map[holdfast.Owner]*Seller) {
	sales, sellers := map[dealKey]*sale{}, map[holdfast.Owner]*Seller{}
	for i := range j.run.Sellers {
		sellers[j.run.Sellers[i].Merchant] = &j.run.Sellers[i]
	}
	done := holdfast.Done.String()
	for _, d := range j.run.Deals {
		k := dealKey{d.Merchant, d.Number}
		switch s := sellers[d.Merchant]; {
		case d.Request != "" || d.Outcome != done:
		case s == nil:
			j.breaks("deal", "%s was acknowledged, and the file does not say what was agreed with this merchant", k)
		case sales[k] != nil:
			j.breaks("deal", "%s was acknowledged twice", k)
		default:
			if want := s.fee(d.Amount); d.Fee != want {
				j.breaks("fee", "%s: a fee of %d was acknowledged for %d; agreed is %d", k, d.Fee, d.Amount, want)
			}
			sales[k] = &sale{dealKey: k, Deal: d}
		}
	}
	asked := map[string]bool{}
	for _, d := range j.run.Deals {
		k := dealKey{d.Merchant, d.Number}
		if d.Request == "" || d.Outcome != done {
			continue
		}
		s := sales[k]
		switch name := k.String() + " " + d.Request; {
		case s == nil:
			j.breaks("deal", "a refund of %s was acknowledged, and the trade was not", k)
			continue
		case asked[name]:
			j.breaks("deal", "refund %q of %s was acknowledged twice", d.Request, k)
		default:
			asked[name] = true
		}
		s.refunds, s.refunded, s.feeBack = s.refunds+1, s.refunded+d.Amount, s.feeBack+d.Fee
	}
	for _, s := range sales {
		if s.refunded > s.Amount {
			j.breaks("deal", "%s: %d were acknowledged as given back, of %d", s.dealKey, s.refunded, s.Amount)
		} else if want := portion(s.Fee, s.refunded, s.Amount); s.feeBack != want {
			j.breaks("fee", "%s: with %d of %d given back, %d of the fee of %d were acknowledged as returned; it has to be %d", s.dealKey, s.refunded, s.Amount, s.feeBack, s.Fee, want)
		}
	}
	return sales, sellers
}

// seller holds what one site has signed of a merchant against all his sales. It returns how many settled days there are.
func (j *judge) seller(id holdfast.SiteID, s *Seller, sales map[dealKey]*sale) (days int) {
	t := j.sites[id]
	var posted [2]map[holdfast.Ref][]posting // of settlement and fees
	for i, account := range []holdfast.AccountID{s.settlement(), s.fees()} {
		lines, there := t.lines[account]
		if !there {
			j.breaks("silent", "site %d has signed no statement of %s", id, account)
		}
		posted[i] = postings(account, lines)
	}
	var sum client.Settlement // what all days together must come to
	for k, x := range sales {
		if k.merchant != s.Merchant {
			continue
		}
		ref := refOf(k.merchant, "trade/"+k.number)
		j.compareSale(id, x, posted[0][ref], posted[1][ref])
		delete(posted[0], ref)
		delete(posted[1], ref)
		sum.Payments, sum.Refunds = sum.Payments+1, sum.Refunds+uint32(x.refunds)
		sum.Paid, sum.Refunded, sum.Fees = sum.Paid+x.Amount, sum.Refunded+x.refunded, sum.Fees+x.Fee-x.feeBack
	}
	sum.Net = sum.Paid - sum.Refunded - sum.Fees
	days = j.settledDays(id, s, &sum, posted[0])
	for _, rest := range posted {
		for _, ref := range slices.SortedFunc(maps.Keys(rest), func(a, b holdfast.Ref) int { return strings.Compare(string(a[:]), string(b[:])) }) {
			j.breaks("unasked", "site %d has %d entries with the reference %s on the statements of merchant %s, and no trade or settlement explains them", id, len(rest[ref]), ref, s.Merchant)
		}
	}
	return days
}

// compareSale holds the entries of a trade against what was acknowledged.
func (j *judge) compareSale(id holdfast.SiteID, s *sale, earned, fees []posting) {
	one := func(what string, list []posting, in bool, want holdfast.Amount, most int) {
		lines, have := 0, holdfast.Amount(0)
		for _, p := range list {
			amount := p.out
			if in {
				amount = p.in
			}
			if amount == 0 {
				continue
			}
			lines, have = lines+1, have+amount
			if p.other != 0 && p.other != s.Customer {
				j.breaks("altered", "altered at site %d: %s: the %s in the ledger were with %s, acknowledged was %s", id, s.dealKey, what, p.other, s.Customer)
			}
		}
		switch {
		case have == want && lines <= max(most, 1):
		case lines > most && have > want:
			j.breaks("doubled", "doubled at site %d: %s: the %s in the ledger are %d in %d entries, acknowledged were %d", id, s.dealKey, what, have, lines, want)
		case lines == 0:
			j.breaks("lost", "lost at site %d: %s: %s of %d were acknowledged, and are not in the ledger", id, s.dealKey, what, want)
		default:
			j.breaks("altered", "altered at site %d: %s: the %s in the ledger are %d in %d entries, acknowledged were %d", id, s.dealKey, what, have, lines, want)
		}
	}
	one("earnings", earned, true, s.Amount-s.Fee, 1)
	one("fee", fees, true, s.Fee, 1)
	one("refunds", earned, false, s.refunded-s.feeBack, s.refunds)
	one("returned fees", fees, false, s.feeBack, s.refunds)
}

// settledDays holds the settlements that a site has signed against all sales, and each payout against the statement, from which it takes them.
func (j *judge) settledDays(id holdfast.SiteID, s *Seller, want *client.Settlement, posted map[holdfast.Ref][]posting) int {
	days := j.sites[id].settled[s.Merchant]
	if len(days) == 0 {
		return 0
	}
	var had client.Settlement
	for _, day := range slices.Sorted(maps.Keys(days)) {
		d := days[day]
		had.Payments, had.Refunds = had.Payments+d.Payments, had.Refunds+d.Refunds
		had.Paid, had.Refunded, had.Fees, had.Net = had.Paid+d.Paid, had.Refunded+d.Refunded, had.Fees+d.Fees, had.Net+d.Net
		ref := refOf(s.Merchant, "settled/"+d.Day+"/"+d.Asset.String())
		paid, lines := holdfast.Amount(0), posted[ref]
		for _, p := range lines {
			paid += p.out - p.in
		}
		if paid != d.Payout || len(lines) > 1 {
			j.breaks("payout", "site %d: the settlement of %s of merchant %s pays out %d, and on the statement are %d in %d entries", id, d.Day, s.Merchant, d.Payout, paid, len(lines))
		}
		delete(posted, ref)
	}
	if had != *want {
		j.breaks("settlement", "site %d: merchant %s was settled for %d payments of %d, %d refunds of %d, fees of %d: %d; acknowledged were %d of %d, %d of %d, %d: %d", id, s.Merchant,
			had.Payments, had.Paid, had.Refunds, had.Refunded, had.Fees, had.Net, want.Payments, want.Paid, want.Refunds, want.Refunded, want.Fees, want.Net)
	}
	return len(days)
}

// sold reports accounts whose statements are held against trades, and not against receipts.
func (r *Run) sold() map[holdfast.AccountID]bool {
	all := map[holdfast.AccountID]bool{}
	for i := range r.Sellers {
		all[r.Sellers[i].settlement()], all[r.Sellers[i].fees()] = true, true
	}
	return all
}

// readSettlements reads an answer to a question for the settled days of a merchant.
func (h *heard) readSettlements(query url.Values, body []byte) error {
	owner, err := holdfast.ParseOwner(query.Get("merchant"))
	if err != nil {
		return err
	}
	var v struct {
		Settlements []client.Settlement `json:"settlements"`
	}
	if err := json.Unmarshal(body, &v); err != nil {
		return fmt.Errorf("settlements: %w", err)
	}
	h.merchant, h.settled = owner, v.Settlements
	return nil
}
