package httpapi

import (
	"strconv"
	"time"

	"holdfast"
)

// outcomeBody documents what appendOutcome writes; a test holds the two together.
type outcomeBody struct {
	ID     string `json:"id" format:"uuid"`
	Status string `json:"status" enum:"done,refused,unknown,not-executed" doc:"What became of it. unknown: ask again with the same id"`
	Code   string `json:"code" doc:"Stable name of the reason; ok for what is done" example:"ok"`
	Leg    *int   `json:"leg,omitempty" doc:"The first transfer, from 0, that the code speaks of"`
	Field  string `json:"field,omitempty" doc:"The member at fault, or the first one that differs from what the id stands for"`
	Replay bool   `json:"replay" doc:"The transaction had been decided before; this is that decision"`
	Time   string `json:"time,omitempty" format:"date-time" doc:"When it was decided"`
	Shard  uint16 `json:"shard,omitempty" doc:"Shard whose log holds the decision"`
	Index  uint64 `json:"index,omitempty" doc:"Place of the decision in the log of the shard"`
	Detail string `json:"detail" doc:"What the code means and what to do"`
}

// outcomeBodyOf is an outcome for answers that hold more than it.
func outcomeBodyOf(o *holdfast.Outcome) outcomeBody {
	b := outcomeBody{
		ID: o.ID.String(), Status: o.Status.String(), Code: o.Code.String(), Field: o.Field, Replay: o.Replay, Detail: o.Code.Advice(),
	}
	if o.Leg != holdfast.NoLeg {
		b.Leg = new(int(o.Leg))
	}
	if decided(o) {
		b.Time, b.Shard, b.Index = o.Time.String(), uint16(o.Shard), o.Index
	}
	return b
}

type outcomesBody struct {
	Outcomes []outcomeBody `json:"outcomes" doc:"One for each transaction, in their order"`
}

// appendOutcome writes an outcome as JSON, without reflection: it is the answer to every payment.
func appendOutcome(b []byte, o *holdfast.Outcome) []byte {
	b = appendUUID(append(b, `{"id":"`...), [16]byte(o.ID))
	b = append(append(b, `","status":"`...), o.Status.String()...)
	b = append(append(b, `","code":"`...), o.Code.String()...)
	b = append(b, '"')
	if o.Leg != holdfast.NoLeg {
		b = strconv.AppendUint(append(b, `,"leg":`...), uint64(o.Leg), 10)
	}
	if o.Field != "" {
		b = appendQuoted(append(b, `,"field":`...), o.Field)
	}
	b = strconv.AppendBool(append(b, `,"replay":`...), o.Replay)
	if decided(o) {
		b = appendTime(append(b, `,"time":"`...), o.Time)
		b = append(b, '"')
		if o.Shard != 0 {
			b = strconv.AppendUint(append(b, `,"shard":`...), uint64(o.Shard), 10)
		}
		b = strconv.AppendUint(append(b, `,"index":`...), o.Index, 10)
	}
	return append(appendQuoted(append(b, `,"detail":`...), o.Code.Advice()), '}')
}

func appendOutcomes(b []byte, outcomes []holdfast.Outcome) []byte {
	b = append(b, `{"outcomes":[`...)
	for i := range outcomes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOutcome(b, &outcomes[i])
	}
	return append(b, `]}`...)
}

// decided reports whether the log holds the outcome.
func decided(o *holdfast.Outcome) bool {
	return o.Status == holdfast.Done || o.Status == holdfast.Refused
}

func appendTime(b []byte, t holdfast.Time) []byte { return t.Std().AppendFormat(b, time.RFC3339Nano) }

func appendUUID(b []byte, id [16]byte) []byte {
	const digits = "0123456789abcdef"
	for i, x := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, digits[x>>4], digits[x&15])
	}
	return b
}

// appendQuoted writes a JSON string of text of our own: field names and advice.
func appendQuoted(b []byte, text string) []byte {
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
