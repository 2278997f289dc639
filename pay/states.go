package pay

// Status is the state of a trade, as Alipay's merchants know it. The numbers are in records: append, never renumber.
type Status uint8

// States of a trade. NoTrade: there is none.
const (
	NoTrade Status = iota
	StatusWaiting
	StatusSuccess
	StatusFinished
	StatusClosed
	statuses
)

var statusNames = [statuses]string{"", "WAIT_BUYER_PAY", "TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"}

// String gives the name that the gateway uses; "" when there is no trade.
func (s Status) String() string {
	if s < statuses {
		return statusNames[s]
	}
	return "INVALID"
}

// Action is what can be done to a trade.
type Action uint8

// Actions on a trade.
const (
	ActCreate      Action = iota // make it
	ActCreatePaid                // make and pay it in one
	ActPay                       // the buyer pays
	ActClose                     // the merchant wants no money any more
	ActCancel                    // the merchant does not know whether he was paid, and does not want to be
	ActExpire                    // the time to pay is over
	ActRefund                    // a part goes back
	ActRefundWhole               // the last part goes back
	ActSplit                     // others get a share
	ActFinish                    // the time for refunds is over
	ActProtect                   // the merchant ships, the buyer confirms or disputes, the platform releases
	actions
)

var actionNames = [actions]string{"create", "create-paid", "pay", "close", "cancel", "expire", "refund", "refund-whole", "split", "finish", "protect"}

// String names the action.
func (a Action) String() string { return actionNames[a] }

// change is one cell of the table: the state that follows, or why not.
type change struct {
	to  Status
	why Code
}

func to(s Status) change { return change{to: s} }
func no(c Code) change   { return change{why: c} }

// transitions is the whole life of a trade. Every state that a trade takes is taken through [Status.after].
var transitions = [actions][statuses]change{
	//                NoTrade                   StatusWaiting              StatusSuccess             TradeFinished         TradeClosed
	ActCreate:      {to(StatusWaiting), no(TradeDiffers), no(TradePaid), no(TradePaid), no(TradeClosed)},
	ActCreatePaid:  {to(StatusSuccess), no(TradeDiffers), no(TradePaid), no(TradePaid), no(TradeClosed)},
	ActPay:         {no(TradeUnknown), to(StatusSuccess), no(TradePaid), no(TradePaid), no(TradeClosed)},
	ActClose:       {no(TradeUnknown), to(StatusClosed), no(TradeStatus), no(TradeStatus), no(TradeStatus)},
	ActCancel:      {to(StatusClosed), to(StatusClosed), to(StatusClosed), no(TradeFinished), to(StatusClosed)},
	ActExpire:      {no(TradeUnknown), to(StatusClosed), no(TradeStatus), no(TradeStatus), no(TradeStatus)},
	ActRefund:      {no(TradeUnknown), no(TradeNotPaid), to(StatusSuccess), no(TradeFinished), no(TradeClosed)},
	ActRefundWhole: {no(TradeUnknown), no(TradeNotPaid), to(StatusClosed), no(TradeFinished), no(TradeClosed)},
	ActSplit:       {no(TradeUnknown), no(TradeNotPaid), to(StatusSuccess), to(StatusFinished), no(TradeClosed)},
	ActFinish:      {no(TradeUnknown), no(TradeNotPaid), to(StatusFinished), to(StatusFinished), no(TradeClosed)},
	ActProtect:     {no(TradeUnknown), no(TradeNotPaid), to(StatusSuccess), to(StatusFinished), no(TradeClosed)},
}

// after is the state after an action, or a refusal.
func (s Status) after(a Action) (Status, error) {
	t := transitions[a][s]
	if plantedClosedPays() && a == ActPay && s == StatusClosed {
		t = to(StatusSuccess)
	}
	if t.why != "" {
		return s, refuse(t.why, "")
	}
	return t.to, nil
}

// Protection is how far a trade under escrow has come. The numbers are in records: append, never renumber.
type Protection uint8

// States of a protected trade.
const (
	Unprotected Protection = iota // not under escrow, or not paid
	Held                          // paid; the platform has the money
	Shipped                       // the merchant says so; the deadline runs
	Disputed                      // nothing moves
	Ended                         // all of the money has gone to the merchant or back
	protections
)

var protectionNames = [protections]string{"", "held", "shipped", "disputed", "ended"}

// String names the state; "" when there is none.
func (p Protection) String() string {
	if p < protections {
		return protectionNames[p]
	}
	return "invalid"
}

// step is what can be done to a protected trade.
type step uint8

const (
	stepShip    step = iota // the merchant has shipped
	stepConfirm             // the buyer has got it
	stepLapse               // the deadline is over
	stepDispute             // the buyer complains
	stepDecide              // the platform decides a dispute: a part for the merchant, the rest back
	stepRefund              // the merchant gives money back
	steps
)

var protectionTable = [steps][protections]change2{
	//            Unprotected    Held                  Shipped            Disputed                Ended
	stepShip:    {bad(NotEscrow), on(Shipped), on(Shipped), bad(EscrowDisputed), bad(EscrowStatus)},
	stepConfirm: {bad(NotEscrow), on(Ended), on(Ended), bad(EscrowDisputed), on(Ended)},
	stepLapse:   {bad(NotEscrow), bad(EscrowStatus), on(Ended), bad(EscrowDisputed), on(Ended)},
	stepDispute: {bad(NotEscrow), on(Disputed), on(Disputed), on(Disputed), bad(EscrowStatus)},
	stepDecide:  {bad(NotEscrow), bad(EscrowStatus), bad(EscrowStatus), on(Ended), bad(EscrowStatus)},
	stepRefund:  {on(Unprotected), on(Held), on(Shipped), bad(EscrowDisputed), on(Ended)},
}

type change2 struct {
	to  Protection
	why Code
}

func on(p Protection) change2 { return change2{to: p} }
func bad(c Code) change2      { return change2{why: c} }

func (p Protection) after(s step) (Protection, error) {
	t := protectionTable[s][p]
	if t.why != "" {
		return p, refuse(t.why, "")
	}
	return t.to, nil
}
