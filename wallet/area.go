package wallet

import (
	"embed"
	"io/fs"
	"time"

	"holdfast/page"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// liveEvery is how often a page that is open is told how things are.
const liveEvery = time.Second

// Area makes the pages.
func Area() page.Area {
	return page.Area{
		Name: "wallet", As: "customer",
		Menu:      []page.Item{{Path: "/wallet", Word: "nav-wallet"}, {Path: "/wallet/code", Word: "nav-code"}, {Path: "/wallet/statement", Word: "nav-statement"}, {Path: "/wallet/settings", Word: "nav-settings"}},
		Templates: below(templateFiles, "templates"), Static: below(staticFiles, "static"),
		Styles: []string{"wallet.css"}, Scripts: []string{"wallet.js"}, Words: words,
		Routes: func(s *page.Shell) { (&wallet{Shell: s}).routes() },
	}
}

func below(files embed.FS, dir string) fs.FS {
	sub, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // it is embedded
	}
	return sub
}

// wallet serves the pages.
type wallet struct {
	*page.Shell
	names names
}

func (w *wallet) routes() {
	w.Page("GET /wallet", w.showHome)
	w.Live("GET /wallet/live", "wallet", liveEvery, w.tellHome)
	w.Page("GET /wallet/code", w.showCode)
	w.Page("POST /wallet/code", w.enableCode)
	w.Page("POST /wallet/code/off", w.disableCode)
	w.Live("GET /wallet/code/live", "paid", liveEvery, w.tellCode)
	w.Open("GET /wallet/worker.js", w.worker)
	w.Open("GET /wallet/offline", w.showOffline)
	w.Page("GET /wallet/scan", w.showScan)
	w.Page("POST /wallet/scan", w.readScan)
	w.Page("GET /wallet/scan/{token}", w.showTrade)
	w.Page("POST /wallet/scan/{token}", w.payTrade)
	w.Page("GET /wallet/paid", w.showPaid)
	w.Page("GET /wallet/send", w.showSend)
	w.Page("POST /wallet/send", w.confirmSend)
	w.Page("POST /wallet/send/confirm", w.send)
	w.Page("GET /wallet/sent", w.showSent)
	w.Page("GET /wallet/top-up", w.showTopUp)
	w.Page("POST /wallet/top-up", w.topUp)
	w.Page("GET /wallet/top-up/order", w.showTopUpOrder)
	w.Live("GET /wallet/top-up/live", "order", liveEvery, w.tellTopUp)
	w.Page("GET /wallet/withdraw", w.showWithdraw)
	w.Page("POST /wallet/withdraw", w.confirmWithdraw)
	w.Page("POST /wallet/withdraw/confirm", w.withdraw)
	w.Page("GET /wallet/withdraw/order", w.showWithdrawOrder)
	w.Page("POST /wallet/withdraw/recall", w.recall)
	w.Live("GET /wallet/withdraw/live", "order", liveEvery, w.tellWithdraw)
	w.Page("GET /wallet/bank-accounts", w.showBankAccounts)
	w.Page("POST /wallet/bank-accounts", w.keepBankAccount)
	w.Page("POST /wallet/bank-accounts/remove", w.removeBankAccount)
	w.Page("GET /wallet/statement", w.showStatement)
	w.Page("GET /wallet/receipts/{receipt}", w.showReceipt)
	w.Page("GET /wallet/receipts/{receipt}/signed", w.signedReceipt)
	w.Live("GET /wallet/safety", "safety", liveEvery, w.tellSafety)
	w.Page("GET /wallet/escrow", w.showEscrow)
	w.Page("POST /wallet/escrow", w.doEscrow)
	w.Page("GET /wallet/settings", w.showSettings)
	w.Page("GET /wallet/devices", w.showDevices)
	w.Page("POST /wallet/devices/remove", w.removeDevice)
	w.Page("GET /wallet/agreements", w.showAgreements)
	w.Page("POST /wallet/agreements/revoke", w.revokeAgreement)
	w.Live("GET /wallet/asking/{what}", "outcome", liveEvery, w.tellAsking)
}
