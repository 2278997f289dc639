package portal

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page/pagetest"
)

const (
	shopOwner = holdfast.Owner(2088000000010018)
	buyerNo   = "2088000000020025"
	appID     = "2021000000010010"
	hookID    = "we0123456789abcdef"
	aDelivery = "18bb5a3b00000000-00000000000000a1:" + hookID
)

// now is in the evening of the 27th in the merchant's zone, and in the morning of it in UTC.
var now = time.Date(2026, 11, 27, 10, 0, 1, 0, time.UTC)

// public is an RSA key of 2048 bits.
const public = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo\n4lgOEePzNm0tRgeLezV6ffAt0gunVTLw7onLRnrq0/IzW7yWR7QkrmBL7jTKEn5u\n" +
	"+qKhbwKfBstIs+bMY2Zkp18gnTxKLxoS2tFczGkPLPgizskuemMghRniWaoLcyeh\nkd3qqGElvW/VDL5AaWTg0nLVkjRo9z+40RQzuVaE8AkAFmxZzow3x+VJYKdjykkJ\n" +
	"0iT9wCS0DRTXu269V264Vf/3jvredZiKRkgwlL9xNAwxXFg0x/XFw005UWVRIkdg\ncKWTjpBP2dPwVZ4WWC+9aGVd+Gyn1o0CLelf4rEjGoXbAAEgAqeGUxrcIlbjXfbc\nmwIDAQAB\n-----END PUBLIC KEY-----\n"

// asked is a request of the pages to the API.
type asked struct {
	method, path string
	number       string // Idempotency-Key
	body         map[string]any
}

// platform is an API that answers as the real one does, about one merchant.
type platform struct {
	t      *testing.T
	mu     sync.Mutex
	asked  []asked           // guarded by mu; what changes something
	says   map[string]string // guarded by mu; by pattern, what is answered instead: "409 code", or a body
	paid   string            // guarded by mu; the trade T-1
	events []string          // guarded by mu
	refund string            // guarded by mu; "": none
}

func tradeJSON(no, status, more string) string {
	return fmt.Sprintf(`{"merchant":"%s","out_trade_no":"%s","trade_no":"2026112722001400000000000001","status":"%s","mode":"plain","amount":8800,"asset":"CNY",`+
		`"subject":"Longjing <50 g>","shop":"east","till":"t1","fee":53,"fee_returned":0,"refunded":0,"shared":0,"held":0,"released":0,"created":"2026-11-27T09:59:00Z"%s}`, shopOwner, no, status, more)
}

func eventJSON(n int, kind, no string, amount, fee, effect int) string {
	return fmt.Sprintf(`{"id":"%s-18bb5a3b%08d-00000000000000a%d","type":"%s","time":"2026-11-27T0%d:00:00Z","data":{"merchant":"%s","out_trade_no":"%s","trade_no":"2026112722001400000000000001",`+
		`"subject":"Longjing","asset":"CNY","amount":%d,"total":8800,"fee":%d,"effect":%d,"status":"TRADE_SUCCESS","other":"%s"}}`, shopOwner, n, n%10, kind, n%10, shopOwner, no, amount, fee, effect, buyerNo)
}

func newPlatform(t *testing.T) *platform {
	return &platform{
		t: t, says: map[string]string{}, paid: tradeJSON("T-1", "TRADE_SUCCESS", `,"payer":"`+buyerNo+`","paid":"2026-11-27T09:59:30Z","refund_until":"2027-11-27T09:59:30Z"`),
		events: []string{eventJSON(1, "trade.paid", "T-1", 8800, 53, 8747), eventJSON(2, "trade.paid", "T-2", 1200, 7, 1193), eventJSON(3, "refund.done", "T-2", 200, -1, -199)},
	}
}

// answers are what is said to each request, by pattern.
func (f *platform) answers() map[string]func(r *http.Request) string {
	m := "/v1/merchants/" + shopOwner.String()
	fixed := func(text string) func(*http.Request) string { return func(*http.Request) string { return text } }
	app := func(platform string) string {
		key, err := json.Marshal(public)
		if err != nil {
			f.t.Error(err)
		}
		return `{"id":"` + appID + `","merchant":"` + shopOwner.String() + `","number":0,"public_key":` + string(key) + platform + `,"permissions":["face-to-face","bill","novelty"],"notify":"https://shop.example/cb","disabled":false}`
	}
	key, _ := json.Marshal(public)
	whole := app(`,"platform_public_key":` + string(key))
	hook := `{"id":"` + hookID + `","merchant":"` + shopOwner.String() + `","url":"https://shop.example/hooks","types":["trade.paid"],"disabled":false,"created":"2026-11-20T00:00:00Z","since":"2026-11-20T00:00:00Z"}`
	delivery := `{"id":"` + aDelivery + `","event":"` + shopOwner.String() + `-18bb5a3b00000000-00000000000000a1","type":"trade.paid","target":"` + hookID + `","attempts":3,"first":"2026-11-27T09:59:31Z",` +
		`"last":"2026-11-27T10:00:00Z","took_ms":120,"status":500,"answer":"<b>no</b>","why":"answered with 500","next":"2026-11-27T10:05:00Z","done":false}`
	person := `{"person":"aaaaaaaa","name":"Lin","login":"l***@tea.example","right":"work","added":"2026-11-01T00:00:00Z","password":true,"passkeys":1}`
	settled := `{"merchant":"` + shopOwner.String() + `","day":"2026-11-26","asset":"CNY","payments":3,"paid":3000,"fees":18,"refunds":1,"refunded":200,"other":0,"net":2782,"carried":0,"payout":2782,"order":"2026-11-26-CNY","settled":"2026-11-26T16:05:00Z"}`
	return map[string]func(r *http.Request) string{
		"GET " + m:                   fixed(`{"id":"` + shopOwner.String() + `","name":"Tea & House","zone":"Asia/Shanghai","fee":{"basis_points":60},"payee":"","refund_days":365,"blocked":false,"registered":"2026-10-01T00:00:00Z"}`),
		"GET " + m + "/balances/CNY": fixed(`{"asset":"CNY","settlement":974100,"escrow":5000,"royalty":0,"outgoing":2782,"fees":60}`),
		"GET /v1/events":             f.listEvents,
		"GET /v1/events/{id}":        fixed(eventJSON(1, "trade.paid", "T-1", 8800, 53, 8747)),
		"GET /v1/trades":             f.listTrades,
		"GET /v1/trades/" + shopOwner.String() + "/{no}": func(r *http.Request) string {
			switch no := r.PathValue("no"); no {
			case "T-1":
				return f.paid
			case "W-1":
				return tradeJSON("W-1", "WAIT_BUYER_PAY", `,"pay_until":"2026-11-28T00:00:00Z"`)
			case "E-1":
				return strings.Replace(tradeJSON("E-1", "TRADE_SUCCESS", `,"payer":"`+buyerNo+`","protection":"held","deadline":"2026-12-01T00:00:00Z","paid":"2026-11-27T09:59:30Z"`), `"held":0`, `"held":8800`, 1)
			case "S-1":
				return strings.Replace(strings.Replace(tradeJSON("S-1", "TRADE_SUCCESS", `,"payer":"`+buyerNo+`","paid":"2026-11-27T09:59:30Z"`), `"held":0`, `"held":8747`, 1), `"plain"`, `"split"`, 1)
			}
			return "404 trade-not-exist"
		},
		"GET /v1/refunds": func(*http.Request) string { return `{"refunds":[` + f.refund + `]}` },
		"GET /v1/refunds/" + shopOwner.String() + "/T-1/{number}": func(*http.Request) string {
			if f.refund == "" {
				return "404 request-unknown"
			}
			return f.refund
		},
		"POST /v1/refunds": func(r *http.Request) string {
			last := f.asked[len(f.asked)-1].body
			reason, _ := last["reason"].(string)
			f.refund = fmt.Sprintf(`{"merchant":"%s","out_trade_no":"T-1","out_request_no":"%s","amount":%.0f,"fee_returned":12,"reason":"%s","time":"2026-11-27T10:00:01Z","trade":%s}`, shopOwner, last["out_request_no"], last["amount"], reason, f.paid)
			f.paid = strings.Replace(f.paid, `"refunded":0`, fmt.Sprintf(`"refunded":%.0f`, last["amount"]), 1)
			return f.refund
		},
		"POST /v1/trades/" + shopOwner.String() + "/{no}/{what}": func(r *http.Request) string {
			if r.PathValue("what") == "splits" {
				return `{"trade":` + f.paid + `,"out_request_no":"x","shares":[]}`
			}
			return f.paid
		},
		"POST /v1/escrows/" + shopOwner.String() + "/{no}/ship": fixed(tradeJSON("E-1", "TRADE_SUCCESS", `,"protection":"shipped"`)),
		"GET /v1/settlements": fixed(`{"settlements":[` + settled + `]}`),
		"GET /v1/settlements/" + shopOwner.String() + "/2026-11-26":           fixed(`{"settlements":[` + settled + `]}`),
		"GET /v1/settlements/" + shopOwner.String() + "/2026-11-25":           fixed(`{"settlements":[]}`),
		"GET /v1/settlements/" + shopOwner.String() + "/2026-11-26/statement": fixed("text/csv time,kind\r\n2026-11-26,total\r\n"),
		"GET /v1/payouts/" + shopOwner.String() + "/2026-11-26-CNY":           fixed(`{"owner":"` + shopOwner.String() + `","kind":"settlement","number":"2026-11-26-CNY","status":"sent","asset":"CNY","amount":2782,"asked":"2026-11-26T16:05:00Z","since":"2026-11-26T16:06:00Z","needs_account":true}`),
		"GET " + m + "/bank-accounts":                                         fixed(`{"bank_accounts":[{"name":"main","tail":"4242","added":"2026-10-02T00:00:00Z"}]}`),
		"POST " + m + "/bank-accounts":                                        fixed(`{"bank_accounts":[]}`),
		"POST " + m + "/bank-accounts/{name}/remove":                          fixed(`{"bank_accounts":[]}`),
		"GET /v1/webhooks":  fixed(`{"endpoints":[` + hook + `]}`),
		"POST /v1/webhooks": fixed(strings.TrimSuffix(hook, "}") + `,"secret":"whsec_new"}`),
		"GET " + "/v1/webhooks/" + shopOwner.String() + "/endpoints/" + hookID:            fixed(hook),
		"POST " + "/v1/webhooks/" + shopOwner.String() + "/endpoints/" + hookID:           fixed(hook),
		"POST " + "/v1/webhooks/" + shopOwner.String() + "/endpoints/" + hookID + "/{op}": fixed(strings.TrimSuffix(hook, "}") + `,"secret":"whsec_other","endpoints":[]}`),
		"GET /v1/webhooks/" + shopOwner.String() + "/deliveries":                          fixed(`{"deliveries":[` + delivery + `,` + strings.NewReplacer(hookID, "notice", `"done":false`, `"done":true`, `"status":500`, `"status":200`, `,"next":"2026-11-27T10:05:00Z"`, "").Replace(delivery) + `]}`),
		"GET /v1/webhooks/" + shopOwner.String() + "/deliveries/{id}":                     fixed(delivery),
		"POST /v1/webhooks/" + shopOwner.String() + "/deliveries/{id}/redeliver":          fixed(delivery),
		"GET " + m + "/apps":                          fixed(`{"apps":[` + app("") + `]}`),
		"GET " + m + "/apps/" + appID:                 fixed(whole),
		"POST " + m + "/apps":                         fixed(whole),
		"POST " + m + "/apps/{app}/disable":           fixed(strings.Replace(whole, `"disabled":false`, `"disabled":true`, 1)),
		"POST " + m + "/apps/{app}/check-signature":   fixed(`{"fits":false,"signed":"app_id=1&method=x","sign_type":"RSA2","findings":[{"code":"order","detail":"The parameters were not sorted."},{"code":"novel","detail":"Something new."}]}`),
		"GET " + m + "/keys":                          fixed(`{"keys":[{"id":"k3wz2v5q","name":"till server","created":"2026-11-01T00:00:00Z"}]}`),
		"POST " + m + "/keys":                         fixed(`{"id":"k9999999","name":"new","created":"2026-11-27T10:00:01Z","secret":"hfm_secret"}`),
		"POST " + m + "/keys/{key}/revoke":            fixed(`{"keys":[]}`),
		"GET " + m + "/people":                        fixed(`{"people":[` + person + `,` + strings.NewReplacer("aaaaaaaa", "me", "Lin", "Wei", `"work"`, `"manage"`).Replace(person) + `]}`),
		"POST " + m + "/people":                       fixed(person),
		"POST " + m + "/people/{person}":              fixed(person),
		"POST " + m + "/people/{person}/invitation":   fixed(`{"invitation":"hfi_invited","until":"2026-11-28T10:00:00Z"}`),
		"POST " + m + "/people/{person}/sessions/end": fixed(`{"ended":true}`),
		"POST " + m + "/people/{person}/remove":       fixed(`{"people":[]}`),
		"GET " + m + "/shops":                         fixed(`{"shops":[{"id":"east","name":"East gate","tills":["t1","t2"]}]}`),
		"GET " + m + "/shops/east":                    fixed(`{"id":"east","name":"East gate","tills":["t1","t2"]}`),
		"POST " + m + "/shops":                        fixed(`{"id":"west","name":"West gate"}`),
	}
}

func (f *platform) listEvents(r *http.Request) string {
	list, next := f.events, ""
	if at := r.URL.Query().Get("cursor"); at != "" {
		list = nil
		for i, e := range f.events {
			if strings.Contains(e, at) {
				list = f.events[i+1:]
			}
		}
	} else if _, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get("since")); err != nil {
		return "400 malformed"
	}
	if len(list) > 0 {
		var last client.Event
		if err := json.Unmarshal([]byte(list[len(list)-1]), &last); err != nil {
			f.t.Error(err)
		}
		next = `,"next":"` + last.ID + `"`
	}
	return `{"events":[` + strings.Join(list, ",") + `]` + next + `}`
}

func (f *platform) listTrades(r *http.Request) string {
	if r.URL.Query().Get("trade_no") != "" {
		return `{"trades":[` + f.paid + `]}`
	}
	return `{"trades":[` + f.paid + `,` + tradeJSON("W-1", "WAIT_BUYER_PAY", "") + `],"next":"W-1"}`
}

// mux serves the answers, and remembers what was asked to be changed.
func (f *platform) mux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, answer := range f.answers() {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if r.Method == http.MethodPost {
				a := asked{r.Method, r.URL.Path, r.Header.Get("Idempotency-Key"), nil}
				text, err := io.ReadAll(r.Body)
				if err == nil {
					err = json.Unmarshal(text, &a.body)
				}
				if err != nil {
					f.t.Errorf("%s: %s: %v", r.URL, text, err)
				}
				f.asked = append(f.asked, a)
			}
			text, instead := f.says[pattern]
			if !instead {
				text = answer(r)
			}
			send(w, text)
		})
	}
	return mux
}

// send writes a body, or what a text like "409 trade-status-error" says.
func send(w http.ResponseWriter, text string) {
	var status int
	var code string
	if n, _ := fmt.Sscanf(text, "%d %s", &status, &code); n == 2 {
		pagetest.Problem(w, status, code, "What the API says itself.")
		return
	}
	if csv, ok := strings.CutPrefix(text, "text/csv "); ok {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		_, _ = io.WriteString(w, csv)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, text)
}

// say has the API answer otherwise.
func (f *platform) say(pattern, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.says[pattern] = text
}

// last is what was asked to be changed last; nothing: path "".
func (f *platform) last() asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.asked) == 0 {
		return asked{}
	}
	return f.asked[len(f.asked)-1]
}

// forget drops what was asked.
func (f *platform) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = nil
}

func (f *platform) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

// desk is the portal at which somebody with a right has signed in.
func desk(t *testing.T, f *platform, right string) *pagetest.Desk {
	d := pagetest.NewDesk(t, Area(), client.Here{As: "merchant", Merchant: shopOwner, Person: "me", Right: right}, f.mux())
	d.Now = now
	return d
}
