package drill

import "time"

// payScenarios are those in which people pay, and not only accounts: customers, merchants, the bank. Their load is that of all drills, thinner,
// and beside it what openXxx begins.
var payScenarios = []Scenario{
	{
		Name: "pay-through-site-cut", Story: "The official Alipay SDK and the native client pay, refund and cancel, while the site that leads is cut off.",
		Load: 14 * time.Second, bound: failoverBound, play: playSiteCut, commerce: true, needs: needsSDK, opens: openPaying,
	},
	{
		Name: "code-replay", Story: "The same payment code is shown to two sites in the same instant, again and again, while the site that leads is cut off.",
		Load: 14 * time.Second, bound: failoverBound, play: playSiteCut, commerce: true, opens: openCodeReplay,
	},
}
