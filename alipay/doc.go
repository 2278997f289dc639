// Package alipay is the protocol layer of the merchant gateway that unmodified official Alipay SDKs speak to: /gateway.do (v2)
// and /v3/. It knows parameters, signatures, methods, errors, notices and bills. It does not know what a trade is: it asks a
// [Desk], in typed requests, and finds the merchant's application by [Apps].
//
// A request passes these, in this order (a refusal says the first that is wrong):
//
//	parse.go    the parameters of query and body in one list, bounded
//	envelope.go public parameters, the application, the signature        v3.go  the same for v3
//	methods.go  the table of methods: permission, v3 path, and what reads, does and writes
//	read.go     the strictly checked parameters of one method            trade.go, fund.go, user.go
//	write.go    the answer, compact JSON in a fixed order, and its signature
//
// Amounts are decimal text with two places on the wire (yuan) and [holdfast.Amount] in fen here. Times are wall-clock text of
// GMT+8 on the wire. Beside the gateway the package builds what the platform itself sends: notices (notice.go), the way back of
// a browser (page.go) and the trade bill (bill.go); these are pure.
//
// Three outcomes, as everywhere: 10000 and 10003 are done, 4xxxx is refused (nothing was executed), 20000 is unknown, and the
// merchant's query tells the truth later.
package alipay
