package site

import (
	"strings"
	"testing"

	"holdfast"
)

// TestAnAuditAfterMovesNamesNoShardThatIsNone: what was sent is compared with what has landed anywhere, and the words say so.
func TestAnAuditAfterMovesNamesNoShardThatIsNone(t *testing.T) {
	gbp := holdfast.MustAsset("GBP")
	sent := map[holdfast.AccountID]holdfast.Account{holdfast.InTransit(1, 2, gbp): {CreditsPosted: 70}}
	for landed, want := range map[holdfast.Amount]string{
		60: "shard 1 has sent 70 GBP to the other shards together, and only 60 have landed",
		80: "80 GBP of shard 1 have landed in the other shards together; it sent 70 there and holds 0",
		70: "",
	} {
		a := Audit{Balanced: true}
		a.judgeHomes(sent, map[holdfast.AccountID]holdfast.Account{holdfast.InTransit(3, 1, gbp): {DebitsPosted: landed}}, sent)
		if got := strings.Join(a.Problems, "\n"); got != want || a.Balanced != (want == "") {
			t.Errorf("%d landed: %t, %q; want %q", landed, a.Balanced, got, want)
		}
	}
}
