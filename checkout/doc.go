// Package checkout is the page on which a customer pays: for the links of alipay.trade.page.pay and wap.pay, and for the QR codes that a shop shows.
// It is rendered by the server, in Chinese and in English, and works without JavaScript; docs/decisions/0025-the-cashier-page.md says why it
// is done this way.
//
// # The token is all there is
//
// An address is /cashier/<token> or /q/<token>, and the token is the only secret: whoever has it may see the trade and pay it. There is no
// session and no cookie. Everything a page needs is in its address and in the records that every site has, so that a page which one site has
// served goes on at any other one. What the address says beside the token (the language, since when an answer is waited for) changes only what is
// shown.
//
// # What a payment can come to
//
// A POST pays the trade with the code that was typed. It may be sent again, to any site: a code pays one trade, and a trade is paid once. Done,
// and what the trade has come to otherwise, is a redirect to the page, which shows it. Refused is said in words, with the form to try again.
// Unknown is a redirect to the page with "since": it says that we are finding out, and asks until the trade is decided. Nothing turns unknown
// into failed. After a minute it offers the form again: should both payments arrive, one of them goes back by itself.
//
// The page learns of a payment by asking for its state, with a script or by loading itself again, and goes on to the merchant by itself.
package checkout
