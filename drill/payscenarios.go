package drill

import "time"

// payScenarios are those in which people pay, and not only accounts: customers, merchants, the bank. Their load is that of all drills, thinner,
// and beside it buyers and sellers, whose programs take
// processor time from the sites: a shard that is led from a site that stays may pause as long as in the demo.
var payScenarios = []Scenario{
	{
		Name: "pay-through-site-cut", Story: "The official Alipay SDK and the native client pay, refund and cancel, while the site that leads is cut off.",
		Load: 14 * time.Second, bound: failoverBound, stay: demoStay, play: playSiteCut, commerce: true, needs: needsSDK, opens: openPaying,
	},
	{
		Name: "code-replay", Story: "The same payment code is shown to two sites in the same instant, again and again, while the site that leads is cut off.",
		Load: 14 * time.Second, bound: failoverBound, stay: demoStay, play: playSiteCut, commerce: true, opens: openCodeReplay,
	},
	{
		Name: "webhook-receiver-down", Story: "Merchants are told of what they are paid, while one receiver is down for a while, another one is slow, and the site that leads is cut off.",
		Load: 14 * time.Second, bound: failoverBound, stay: demoStay, play: playSiteCut, commerce: true, opens: openTelling,
	},
}
