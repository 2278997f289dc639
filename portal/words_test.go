package portal

import (
	"slices"
	"testing"

	"holdfast/page/pagetest"
)

func TestWordsAreThere(t *testing.T) {
	var keys []string
	for _, kind := range eventTypes {
		keys = append(keys, "event-"+kind)
	}
	for _, kind := range eventKinds {
		keys = append(keys, "kind-"+kind)
	}
	for _, state := range []string{"waiting", "paid", "part-refunded", "refunded", "closed", "finished", "held", "shipped", "disputed"} {
		keys = append(keys, "state-"+state, "state-"+state+"-lead")
		keys = append(keys, "no-refund-"+state)
	}
	for _, right := range rights {
		keys = append(keys, "needs-"+right, "right-"+right, "right-"+right+"-lead")
	}
	for _, what := range []string{"refund", "close", "cancel", "ship", "split"} {
		keys = append(keys, "ask-"+what, "ask-"+what+"-lead", "do-"+what, "done-"+what)
	}
	for _, what := range []string{"redeliver", "changed", "removed", "key", "notify", "disable", "revoke", "person", "end", "shop", "bank"} {
		keys = append(keys, "done-"+what)
	}
	for _, what := range []string{"webhook", "rotated", "key", "invitation"} {
		keys = append(keys, "secret-"+what, "secret-"+what+"-lead")
	}
	for _, what := range []string{"bank-remove", "rotate", "webhook-remove", "key", "disable", "revoke", "end", "person-remove"} {
		keys = append(keys, "ask-"+what, "ask-"+what+"-lead")
	}
	for _, state := range []string{"done", "unknown", "not-done"} {
		keys = append(keys, "refund-"+state, "refund-"+state+"-lead")
	}
	for _, bad := range []string{"empty", "private", "long", "ssh", "certificate", "base64", "cut", "kind", "short", "big"} {
		keys = append(keys, "key-"+bad)
	}
	for _, state := range []string{"WAIT_BUYER_PAY", "TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"} {
		keys = append(keys, "till-"+state)
	}
	slices.Sort(keys)
	pagetest.CheckWords(t, Area(), []string{
		"portal-today", "portal-trades", "portal-trade", "portal-refund", "portal-watch", "portal-settlements", "portal-settlement", "portal-bank", "portal-deliveries", "portal-delivery",
		"portal-webhooks", "portal-apps", "portal-app", "portal-signature", "portal-keys", "portal-people", "portal-person", "portal-shops", "portal-shop", "portal-start", "portal-confirm",
		"portal-again", "portal-refused", "portal-right", "portal-secret", "portal-till", "portal-till-qr",
	}, slices.Compact(keys)...)
}
