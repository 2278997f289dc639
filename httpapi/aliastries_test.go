package httpapi

import (
	"fmt"
	"net/http"
	"testing"
)

// The platform is no directory: a session cannot try phone numbers without end, whether they are anybody's or not.
func TestASessionCannotTryAliasesWithoutEnd(t *testing.T) {
	m := newMarket()
	api := m.api()
	key := m.newSession(m.alice)
	send := func(n int, rest string) (int, string) {
		status, header, text := ask(t, api, "POST", "/v1/transfers", key, fmt.Sprintf(`{"number":"T%d","from":%q,"asset":"CNY","amount":1%s}`, n, m.alice.String(), rest))
		code := ""
		if status >= 400 {
			code = problemIn(t, header, text).Code
		}
		return status, code
	}
	for n := range aliasTries {
		if status, code := send(n, fmt.Sprintf(`,"to_alias":"nobody%d@example.com"`, n)); code != "alias-unknown" {
			t.Fatalf("try %d: %d %s", n, status, code)
		}
	}
	if status, code := send(50, `,"to_alias":"nobody@example.com"`); status != http.StatusTooManyRequests || code != "too-many-aliases" {
		t.Errorf("after them: %d %s", status, code)
	}
	if status, code := send(51, fmt.Sprintf(`,"to":%q`, m.bob.String())); status != http.StatusOK && status != http.StatusCreated {
		t.Errorf("by number: %d %s", status, code)
	}
}
