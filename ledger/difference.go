package ledger

import (
	"bytes"
	"slices"

	"holdfast"
)

// firstDifference names the first field, in the order of the types, in which two transactions of one id differ: "" when
// they are equal. A list that is longer or shorter is named as a whole when the elements both have are equal.
func firstDifference(a, b *holdfast.Txn) string {
	if d := differ("preconditions", a.Preconditions, b.Preconditions, preconditionDifference); d != "" {
		return d
	}
	if d := differ("accounts", a.Accounts, b.Accounts, accountDifference); d != "" {
		return d
	}
	if d := differ("transfers", a.Transfers, b.Transfers, transferDifference); d != "" {
		return d
	}
	if d := differ("records", a.Records, b.Records, recordDifference); d != "" {
		return d
	}
	if d := differ("messages", a.Messages, b.Messages, messageDifference); d != "" {
		return d
	}
	if !slices.Equal(a.Acks, b.Acks) {
		return "acks"
	}
	return ""
}

func differ[T any](list string, a, b []T, difference func(a, b *T) string) string {
	for i := range min(len(a), len(b)) {
		if name := difference(&a[i], &b[i]); name != "" {
			return fieldName(list, i, name)
		}
	}
	if len(a) != len(b) {
		return list
	}
	return ""
}

func preconditionDifference(a, b *holdfast.Precondition) string {
	switch {
	case a.Key != b.Key:
		return "key"
	case a.Version != b.Version:
		return "version"
	}
	return ""
}

func accountDifference(a, b *holdfast.AccountChange) string {
	switch {
	case a.Op != b.Op:
		return "op"
	case a.ID != b.ID:
		return "id"
	case a.Limit != b.Limit:
		return "limit"
	case a.Code != b.Code:
		return "code"
	case a.Ref != b.Ref:
		return "ref"
	}
	return ""
}

func transferDifference(a, b *holdfast.Transfer) string {
	switch {
	case a.ID != b.ID:
		return "id"
	case a.Kind != b.Kind:
		return "kind"
	case a.Debit != b.Debit:
		return "debit"
	case a.Credit != b.Credit:
		return "credit"
	case a.Amount != b.Amount:
		return "amount"
	case a.Hold != b.Hold:
		return "hold"
	case a.Timeout != b.Timeout:
		return "timeout_s"
	case a.Code != b.Code:
		return "code"
	case a.Ref != b.Ref:
		return "ref"
	}
	return ""
}

func recordDifference(a, b *holdfast.RecordChange) string {
	switch {
	case a.Key != b.Key:
		return "key"
	case a.Expect != b.Expect:
		return "expect"
	case !slices.Equal(a.Index, b.Index):
		return "index"
	case !bytes.Equal(a.Body, b.Body):
		return "body"
	case a.Delete != b.Delete:
		return "delete"
	case a.Op != b.Op || a.Version != b.Version || a.Changed != b.Changed || a.Payment != b.Payment:
		return "op" // of the platform's own
	}
	return ""
}

func messageDifference(a, b *holdfast.Message) string {
	switch {
	case a.To != b.To:
		return "to"
	case a.Topic != b.Topic:
		return "topic"
	case !bytes.Equal(a.Body, b.Body):
		return "body"
	}
	return ""
}
