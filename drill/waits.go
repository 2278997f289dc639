package drill

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// wait is how long somebody waited who pays, or gives money back: from his first attempt to a definite answer, with everything that he or his
// client tried again, or asked, in between. Times are since the start of the load.
type wait struct {
	by, do, trade string
	span
	known bool // there was a definite answer in the end
}

// answers reports a call that tells what has become of another one before it: the same again, or of a payment also a query or a cancel.
func (d *deed) answers(of *deed) bool {
	if d.Trade != of.Trade {
		return false
	}
	if of.Do == doPay {
		return d.Do == doPay || d.Do == doQuery || d.Do == doCancel
	}
	return d.Do == of.Do && d.Request == of.Request
}

// settles reports whether it leaves nothing open. That a query finds no trade, or one that waits, is no answer: the payment may still be on its way.
func (d *deed) settles(of *deed) bool {
	switch {
	case d.maybe():
		return false
	case d.Do == doQuery && of.Do == doPay:
		return d.Status == "TRADE_SUCCESS" || d.Status == "TRADE_FINISHED" || d.Status == "TRADE_CLOSED"
	}
	return true
}

// waitsOf finds them among the calls of all clients; zero is the start of the load. Calls about one trade are made one after the other.
func waitsOf(deeds []deed, zero time.Time) (list []wait) {
	at := func(ms int64) time.Duration { return time.UnixMilli(ms).Sub(zero) }
	inOrder := slices.Clone(deeds)
	slices.SortStableFunc(inOrder, func(a, b deed) int { return cmp.Compare(a.Began, b.Began) })
	type waiter struct {
		first deed
		index int // in list
	}
	open := map[string]*waiter{} // by trade
	for i := range inOrder {
		d := &inOrder[i]
		w := open[d.Trade]
		if w == nil || !d.answers(&w.first) {
			if d.Do == doQuery || d.Do == doRefundQuery {
				continue // who asks for what he knows already
			}
			w = &waiter{*d, len(list)}
			open[d.Trade] = w
			list = append(list, wait{by: d.By, do: d.Do, trade: d.Trade, span: span{from: at(d.Began)}})
		}
		list[w.index].until = at(d.Ended)
		if d.settles(&w.first) {
			list[w.index].known = true
			delete(open, d.Trade)
		}
	}
	return list
}

// patienceOf is how long the callers of one client waited, and what passes.
type patienceOf struct {
	by               string
	waits, paid      int
	half, most       time.Duration
	usual            time.Duration // 99 of 100 before anything was broken
	passes           time.Duration
	late, unanswered []string
}

// halfWay is for how long a payment that stands half-way between two shards is left to the site that took it, before the leader of the payer's shard
// brings it to its end; see transit.CourierConfig. When that site has been lost, whoever pays waits for it, and so does whoever needs the same records.
const halfWay = time.Second

// judgeWaits holds the waits of one client against what passes: what a shard may pause for, and, since that is added to what a payment takes anyhow, what
// 99 of 100 took before anything was broken, but never more than the bound again; further is what stands between the client and the sites. Those
// that were under way when something was broken, or while what it had left half-way had to wait, may take as much longer. What everybody waited
// for the machine is left out.
func judgeWaits(waits []wait, by string, faults []Fault, dark []span, bound, further time.Duration) (out patienceOf) {
	first := firstFault(faults)
	var all, before []time.Duration
	for i := range waits {
		if w := &waits[i]; w.by == by {
			all = append(all, w.until-w.from)
			if w.until < first {
				before = append(before, lit(dark, w.span))
			}
		}
	}
	slices.Sort(all)
	slices.Sort(before)
	out.by, out.waits, out.half, out.most = by, len(all), Quantile(all, 0.5), Quantile(all, 1)
	out.usual = Quantile(before, 0.99)
	out.passes = bound + min(out.usual, bound) + further
	for i := range waits {
		w := &waits[i]
		if w.by != by {
			continue
		}
		passes := out.passes
		if slices.ContainsFunc(faults, func(f Fault) bool { return w.from < f.At+halfWay && w.until > f.At }) {
			passes += halfWay
		}
		switch long := lit(dark, w.span); {
		case !w.known:
			out.unanswered = append(out.unanswered, fmt.Sprintf("%s, %s by the %s: no definite answer within %d ms", w.trade, w.do, clientNames[by], (w.until-w.from).Milliseconds()))
		case long > passes:
			out.late = append(out.late, fmt.Sprintf("%s, %s by the %s: known after %d ms, %.1f s after the start, without what the machine stood still after %d; %d pass",
				w.trade, w.do, clientNames[by], (w.until-w.from).Milliseconds(), w.from.Seconds(), long.Milliseconds(), passes.Milliseconds()))
		}
	}
	return out
}

var clientNames = map[string]string{bySDK: "official SDK", byNative: "native client"}

// words are what a person is told of them; within is how long they traded.
func (p *patienceOf) words(within time.Duration) string {
	return fmt.Sprintf("%s: %s paid (%.1f/s), %s known within %d ms (half) and %d ms (the longest wait)", clientNames[p.by], plural(p.paid, "trade"),
		float64(p.paid)/within.Seconds(), plural(p.waits, "call"), p.half.Milliseconds(), p.most.Milliseconds())
}
