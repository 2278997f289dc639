package drill

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
)

// aDay is what two clients were told of four trades, and how those stand, without a fault.
func aDay() ([]deed, map[string]*stand) {
	paid := func(number string, amount, refunded holdfast.Amount, status string, refunds ...client.Refund) *stand {
		t := client.Trade{OutTradeNo: number, Status: status, Amount: amount, Refunded: refunded, Paid: time.Unix(1, 0)}
		return &stand{Trade: t, there: true, refunds: refunds}
	}
	deeds := []deed{
		{By: bySDK, Do: doPay, Trade: "plain", Amount: 100, Told: toldUnknown, Began: 1, Ended: 2},
		{By: bySDK, Do: doQuery, Trade: "plain", Told: toldDone, Status: "TRADE_SUCCESS", Began: 3, Ended: 4},
		{By: byNative, Do: doPay, Trade: "half", Amount: 100, Said: 100, Told: toldDone, Began: 1, Ended: 2},
		{By: byNative, Do: doRefund, Trade: "half", Request: "r", Amount: 50, Told: toldDone, Began: 3, Ended: 4},
		{By: byNative, Do: doRefundQuery, Trade: "half", Request: "r", Told: toldDone, Status: "REFUND_SUCCESS", Began: 5, Ended: 6},
		{By: byNative, Do: doPay, Trade: "off", Amount: 100, Said: 100, Told: toldDone, Began: 1, Ended: 2},
		{By: byNative, Do: doCancel, Trade: "off", Told: toldDone, Began: 3, Ended: 4},
		{By: byNative, Do: doQuery, Trade: "off", Told: toldDone, Status: "TRADE_CLOSED", Began: 5, Ended: 6},
		{By: bySDK, Do: doPay, Trade: "poor", Amount: 100, Told: toldRefused, Code: "ACQ.BUYER_BALANCE_NOT_ENOUGH", Began: 1, Ended: 2},
		{By: bySDK, Do: doQuery, Trade: "poor", Told: toldRefused, Code: "ACQ.TRADE_NOT_EXIST", Began: 3, Ended: 4},
	}
	return deeds, map[string]*stand{
		"plain": paid("plain", 100, 0, "TRADE_SUCCESS"),
		"half":  paid("half", 100, 50, "TRADE_SUCCESS", client.Refund{OutRequestNo: "r", Amount: 50}),
		"off":   paid("off", 100, 100, "TRADE_CLOSED", client.Refund{OutRequestNo: "~cancel", Amount: 100}),
		"poor":  {},
	}
}

// Each way in which books can differ from what was told is found, and nothing is found where they do not.
func TestDeedsAreJudgedByTheBooks(t *testing.T) {
	for name, x := range map[string]struct {
		plant func(deeds []deed, found map[string]*stand)
		want  string // list and words
	}{
		"nothing": {func([]deed, map[string]*stand) {}, ""},
		"an acknowledged payment is gone": {
			func(_ []deed, f map[string]*stand) { f["half"] = &stand{} }, "lost: half: the payment was acknowledged, and is not",
		},
		"another amount":     {func(_ []deed, f map[string]*stand) { f["plain"].Amount = 101 }, "altered: plain: 100 fen"},
		"another answer":     {func(d []deed, _ map[string]*stand) { d[2].Said = 99 }, "altered: half: 100 fen were to be paid, 99"},
		"a refusal was done": {func(_ []deed, f map[string]*stand) { *f["poor"] = *f["plain"] }, "phantom: poor: the payment was refused"},
		"a refund is gone": {
			func(_ []deed, f map[string]*stand) { f["half"].refunds, f["half"].Refunded = nil, 0 }, "lost: half: the refund r",
		},
		"a refund was done twice": {func(_ []deed, f map[string]*stand) { f["half"].Refunded = 100 }, "altered: half: refunds of 50 fen are listed, and 100"},
		"a refund nobody asked for": {
			func(_ []deed, f map[string]*stand) { f["plain"].refunds = []client.Refund{{OutRequestNo: "x"}} }, "phantom: plain: the refund x",
		},
		"a cancel gave nothing back": {
			func(_ []deed, f map[string]*stand) { f["off"].refunds, f["off"].Refunded = nil, 0 }, "lost: off: the cancel was acknowledged",
		},
		"a query forgot":   {func(d []deed, _ map[string]*stand) { d[7].Status = "TRADE_SUCCESS" }, "untrue: off: a query said TRADE_SUCCESS after it had been cancelled"},
		"a query invented": {func(_ []deed, f map[string]*stand) { f["plain"] = &stand{} }, "untrue: plain: a query said TRADE_SUCCESS, and it has not been paid"},
		"a query of a refund forgot": {
			func(d []deed, _ map[string]*stand) { d[4].Status = "" }, `untrue: half: a query said "" of the refund r`,
		},
	} {
		deeds, found := aDay()
		x.plant(deeds, found)
		got := judgeDeeds(deeds, found)
		var all []string
		for _, list := range []struct {
			name string
			of   []string
		}{{"lost", got.lost}, {"altered", got.altered}, {"phantom", got.phantom}, {"untrue", got.untrue}} {
			for _, what := range list.of {
				all = append(all, list.name+": "+what)
			}
		}
		if text := strings.Join(all, "\n"); (text == "") != (x.want == "") || !strings.Contains(text, x.want) {
			t.Errorf("%s: found %q, want %q", name, text, x.want)
		}
	}
}

func TestReplayedCodes(t *testing.T) {
	side := func(told, code string) deed { return deed{Trade: told, Told: told, Code: code} }
	done, used, unknown := side(toldDone, ""), side(toldRefused, "code-used"), side(toldUnknown, "no answer")
	for _, x := range []struct {
		sides [2]deed
		want  string
	}{
		{[2]deed{done, used}, ""},
		{[2]deed{used, done}, ""},
		{[2]deed{done, done}, "were both paid by one code"},
		{[2]deed{used, used}, "neither"},
		{[2]deed{done, unknown}, "no last word"},
		{[2]deed{side(toldRefused, "balance-not-enough"), done}, `refused as "balance-not-enough"`},
	} {
		faults := []Fault{{Kind: "site-cut", Target: "shanghai", At: time.Second, Healed: 2 * time.Second}}
		got := judgeReplays([]contestOfCode{{sides: x.sides, sites: [2]holdfast.SiteID{1, 2}, at: time.Second}, {sides: [2]deed{done, used}}}, faults)
		if text := fmt.Sprint(got.wrong); (len(got.wrong) == 0) != (x.want == "") || !strings.Contains(text, x.want) {
			t.Errorf("%s, %s: %q, want %q", x.sides[0].Told, x.sides[1].Told, text, x.want)
		}
		if got.inCut != 1 || got.far != 1 {
			t.Errorf("%d in the cut, %d at the site", got.inCut, got.far)
		}
	}
}

// A directory without the SDK is no place to pay from, and what is said helps.
func TestFindSDK(t *testing.T) {
	t.Setenv(SDKVariable, t.TempDir())
	if _, _, err := FindSDK(); err == nil || !strings.Contains(err.Error(), "install") {
		t.Errorf("%v", err)
	}
}
