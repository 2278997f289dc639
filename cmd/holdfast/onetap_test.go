package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"holdfast"
	"holdfast/checkout"
	"holdfast/client"
	"holdfast/pay"
)

// TestWhatTheAPIAnsweredIsSaidAsItWas: above all, what nobody knows is not called refused, and what was refused not unknown.
func TestWhatTheAPIAnsweredIsSaidAsItWas(t *testing.T) {
	of := func(status int, code string) error { return &client.Error{Status: status, Code: code} }
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "done"},
		{fmt.Errorf("%w; %w", client.ErrUnknown, of(503, "unavailable")), "pending"},
		{fmt.Errorf("%w; %w", client.ErrUnknown, of(422, "balance-not-enough")), "pending"},
		{fmt.Errorf("%w; %w", client.ErrUnknown, context.DeadlineExceeded), "pending"},
		{of(504, "outcome-unknown"), "pending"},
		{of(500, "internal"), "pending"},
		{of(503, "unavailable"), "unavailable"},
		{of(429, "busy"), "unavailable"},
		{of(503, holdfast.CodeRecordPending.String()), "under way"},
		{client.ErrNobody, "unavailable"},
		{of(401, "not-signed-in"), "signed out"},
		{of(403, "forbidden"), "signed out"},
		{of(422, string(pay.BalanceNotEnough)), string(pay.BalanceNotEnough)},
		{of(409, string(pay.TradePaid)), string(pay.TradePaid)},
	} {
		if got := saidOf(asPay(c.err)); got != c.want {
			t.Errorf("%v is said to be %s, want %s", c.err, got, c.want)
		}
	}
}

func saidOf(err error) string {
	var refused *pay.Refusal
	var pending *pay.Pending
	var unavailable *pay.Unavailable
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, checkout.ErrSignedOut):
		return "signed out"
	case errors.As(err, &refused):
		return string(refused.Code)
	case errors.As(err, &pending):
		return "pending"
	case pay.UnderWay(err):
		return "under way"
	case errors.As(err, &unavailable):
		return "unavailable"
	}
	return err.Error()
}
