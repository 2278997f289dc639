package transit

import (
	"fmt"
	"strconv"
	"strings"

	"holdfast"
)

// Departed is what the caller is told when the depart was answered and nothing is known of the land. For a payment that does
// not cross that is all there is to know; one that does is unknown from the moment its depart is done until its land is known.
func (p *Payment) Departed(depart holdfast.Outcome) holdfast.Outcome {
	o := depart
	o.ID = p.Txn.ID
	if p.Crosses() && o.Status == holdfast.Done && !plantedDoneAtDepart() {
		return p.unknown()
	}
	if p.rewritten() {
		o.Leg, o.Field = p.callerLeg(o.Leg), p.callerField(o.Field)
	}
	return o
}

// Outcome makes one answer of those to depart and land. Position, Shard and Replay are those of the depart, because the log of the
// home shard is where the caller's id stands; Time is when the away shard decided. It is unknown unless both are decided, and
// never "not executed" once the depart is done.
func (p *Payment) Outcome(depart, land holdfast.Outcome) holdfast.Outcome {
	o := p.Departed(depart)
	if !p.Crosses() || depart.Status != holdfast.Done {
		return o
	}
	switch FateOf(&land) {
	case Landed:
		o.Status, o.Code, o.Leg = holdfast.Done, holdfast.CodeOK, holdfast.NoLeg
	case Refused:
		o.Status, o.Code, o.Leg = holdfast.Refused, land.Code, p.landedLeg(land.Leg)
		switch land.Code {
		case holdfast.CodeIDTaken:
			o.Field = "id" // the id means something else in the away shard
		case p.refusalCode():
			o.Code = holdfast.CodeShardMismatch // it could not land any more
		}
	default:
		return o
	}
	o.Time, o.Position, o.Shard, o.Replay = land.Time, depart.Position, depart.Shard, depart.Replay
	return o
}

func (p *Payment) unknown() holdfast.Outcome {
	return holdfast.Outcome{ID: p.Txn.ID, Status: holdfast.Unknown, Code: holdfast.CodeUnknown, Leg: holdfast.NoLeg}
}

// callerLeg is the caller's number of a transfer of the depart.
func (p *Payment) callerLeg(n holdfast.Leg) holdfast.Leg {
	at := 0
	for i := range p.legs {
		at += len(p.departing(i))
		if n != holdfast.NoLeg && int(n) < at {
			return holdfast.Leg(i)
		}
	}
	return holdfast.NoLeg
}

// landedLeg is the caller's number of a transfer of the land.
func (p *Payment) landedLeg(n holdfast.Leg) holdfast.Leg {
	for i := range p.legs {
		if !p.legs[i].class.landing() {
			continue
		}
		if n == 0 {
			return holdfast.Leg(i)
		}
		n--
	}
	return holdfast.NoLeg
}

// callerField is the caller's name of a field of the depart. What the depart has and the caller's transaction has not tells
// of the payee, or of the transfers as a whole.
func (p *Payment) callerField(field string) string {
	list, rest, indexed := strings.Cut(field, "[")
	digits, member, _ := strings.Cut(rest, "].")
	n, err := strconv.Atoi(digits)
	if list == "transfers" && indexed && err == nil {
		return fmt.Sprintf("transfers[%d].%s", p.callerLeg(holdfast.Leg(n)), member)
	}
	if p.Crosses() && indexed && err == nil {
		switch list {
		case "preconditions":
			return fmt.Sprintf("preconditions[%d].%s", nth(p.with.preconditions, false, n), member)
		case "records":
			return fmt.Sprintf("records[%d].%s", nth(p.with.records, false, n), member)
		}
	}
	added := map[string]int{"accounts": len(p.Txn.Accounts), "records": len(p.Txn.Records), "messages": len(p.Txn.Messages)}
	own, extended := added[list]
	if !extended || indexed && n < own {
		return field
	}
	if len(p.legs) == 1 && !p.legs[0].class.posts() {
		return "transfers[0].credit"
	}
	return "transfers"
}
