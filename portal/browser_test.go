package portal

import (
	"os"
	"strings"
	"testing"

	"holdfast/page/pagetest"
)

// TestInABrowser does what merchants come for: looks at the day and at a trade, gives money back, has a notice delivered again, asks why a signature does
// not fit, and reads how to begin; on a wide screen in English and on a phone in Chinese, light and dark.
func TestInABrowser(t *testing.T) {
	browser := pagetest.Browser(t)
	for _, look := range []struct {
		name string
		pagetest.Look
		today, trades, trade, refund, confirm, refunded, delivery, again, box, fitsNot, start string
	}{
		{
			"wide-en",
			pagetest.Look{Lang: "en", Width: 1440},
			"Takings today", "Trades", "88.00 CNY", "Amount to give back", "Confirm the refund", "the buyer has the money back", "is tried again", "delivered again",
			"Test my signature", "It does not fit", "Make the first trade",
		},
		{
			"phone-zh", pagetest.Look{Lang: "zh-CN", Width: 390, Dark: true}, "今日收款", "交易", "88.00 CNY", "退款金额", "确认退款", "款项已退回买家", "将重试", "已安排重新通知", "验签助手", "签名不对", "创建第一笔交易",
		},
	} {
		f := newPlatform(t)
		d := desk(t, f, manage)
		site, _ := d.Serve()
		tab := browser.Tab(t, look.Look)
		sound := func(on bool, name string) pagetest.Action { // the rules take a second for each page: each is held once against them
			if on || os.Getenv("HOLDFAST_SHOTS") != "" {
				return tab.Sound("portal-" + name + "-" + look.name)
			}
			return pagetest.Shown("h1", "")
		}
		wide := func(name string) pagetest.Action { return sound(look.Width > 600, name) }
		phone := func(name string) pagetest.Action { return sound(look.Width < 600, name) }
		tab.Do(pagetest.Go(site+"/portal"), pagetest.Shown("#today", look.today), pagetest.Shown("#today", "100.00 CNY"), tab.Sound("portal-today-"+look.name))
		f.mu.Lock()
		f.events = append(f.events, eventJSON(4, "trade.paid", "T-4", 23400, 0, 23400))
		f.mu.Unlock()
		tab.Do(pagetest.Shown("#today", "334.00 CNY")) // it is live
		tab.Do(pagetest.Click(`nav a[href="/portal/trades"]`), pagetest.Shown("h1", look.trades), pagetest.Shown("main", "T-4"),
			pagetest.Click(`.moves a[href="/portal/trades/T-1"]`), pagetest.Shown("#trade", look.trade), wide("trade"),
			pagetest.Click(`a[href="/portal/trades/T-1/refund"]`), pagetest.Shown("main", look.refund),
			pagetest.Click(`main form button`), pagetest.Shown("h1", look.confirm), phone("confirm"),
			pagetest.Click(`main form button`), pagetest.Shown("main", look.refunded))
		tab.Do(pagetest.Click(`nav a[href="/portal/deliveries"]`), pagetest.Shown("main", look.delivery),
			pagetest.Click(`.moves a`), pagetest.Shown("main", "HTTP"), phone("delivery"),
			pagetest.Click(`main form button`), pagetest.Shown("main", look.again))
		tab.Do(pagetest.Go(site+"/portal/apps/"+appID+"/signature"), pagetest.Shown("h1", look.box), pagetest.Type("#text", "b=2&a=1"), pagetest.Type("#signature", "abc"),
			pagetest.Click(`main form button`), pagetest.Shown("main", look.fitsNot), wide("signature"))
		tab.Do(pagetest.Click(`nav a[href="/portal/start"]`), pagetest.Shown("main", look.start), pagetest.Shown("#s-node", "new AlipaySdk"), tab.Sound("portal-start-"+look.name))
		if os.Getenv("HOLDFAST_SHOTS") == "" {
			continue // those that are only looked at
		}
		tab = browser.Tab(t, look.Look)
		for _, path := range allPages {
			tab.Do(pagetest.Go(site+path), tab.Sound(nameOfPath(path)+"-"+look.name))
		}
	}
}

func nameOfPath(path string) string {
	return strings.NewReplacer("/", "-", "?", "-", "=", "-", "&", "-", ":", "-").Replace(path[1:])
}
