package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"holdfast/pay"
)

// document is the document of the API, with the operations by method and path.
type document struct {
	*huma.OpenAPI
	find *http.ServeMux // its patterns are the operations
	ops  map[string]*huma.Operation
}

var theDocument = sync.OnceValue(func() *document {
	r := routed(&fake{}, Options{})
	r.finish()
	d := &document{r.doc.OpenAPI(), http.NewServeMux(), map[string]*huma.Operation{}}
	for path, item := range d.Paths {
		for method, op := range map[string]*huma.Operation{get: item.Get, post: item.Post} {
			if op != nil {
				d.ops[method+" "+path] = op
				d.find.Handle(method+" "+path, http.NotFoundHandler())
			}
		}
	}
	return d
})

func (d *document) operation(r *http.Request) *huma.Operation {
	_, pattern := d.find.Handler(r)
	return d.ops[pattern]
}

// validate reports what a JSON text has that the document does not know, or lacks.
func (d *document) validate(s *huma.Schema, mode huma.ValidateMode, text []byte) error {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return err
	}
	var res huma.ValidateResult
	huma.Validate(d.Components.Schemas, s, huma.NewPathBuffer(nil, 0), mode, v, &res)
	if len(res.Errors) > 0 {
		return fmt.Errorf("%v", res.Errors)
	}
	return nil
}

// asDocumented passes requests on. Every answer, and every body that was taken, has to be what the document says.
func asDocumented(t *testing.T, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, r)
		if op := theDocument().operation(r); op != nil {
			if err := documented(op, body, answer); err != nil {
				t.Errorf("%s %s %s: %d %s: %v", r.Method, r.URL, body, answer.Code, answer.Body, err)
			}
		}
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		if _, err := w.Write(answer.Body.Bytes()); err != nil {
			t.Logf("the caller has left: %v", err)
		}
	})
}

func documented(op *huma.Operation, body []byte, answer *httptest.ResponseRecorder) error {
	d := theDocument()
	said := op.Responses[strconv.Itoa(answer.Code)]
	if said == nil {
		said = op.Responses["default"]
	}
	kind := answer.Header().Get("Content-Type")
	media := said.Content[kind]
	if media == nil {
		return fmt.Errorf("an answer of this type is not documented")
	}
	if strings.HasPrefix(kind, "text/") || kind == svgType {
		return nil // neither has a schema that could be held against it
	}
	if err := d.validate(media.Schema, huma.ModeReadFromServer, answer.Body.Bytes()); err != nil {
		return fmt.Errorf("the answer is not as documented: %w", err)
	}
	if answer.Code >= 300 || len(bytes.TrimSpace(body)) == 0 || op.RequestBody == nil {
		return nil
	}
	if err := d.validate(op.RequestBody.Content[jsonType].Schema, huma.ModeWriteToServer, body); err != nil {
		return fmt.Errorf("a body was taken that is not as documented: %w", err)
	}
	return nil
}

// bodies are good ones of the operations that need one.
var bodies = map[string]string{
	"/v1/accounts": `{"id":"` + wallet + `"}`, "/v1/transfers": onePayment, "/v1/holds": onePayment, "/v1/transactions": `{"transfers":[` + onePayment + `]}`,
	"/v1/shards/{id}/leader": `{"site":2}`, "/v1/shards/{id}/rebuild": `{}`, "/v1/shards/{id}/trust": `{}`,
	"/v1/sites/plan": `{"kind":"retire","site":4}`, "/v1/sites/apply": `{"kind":"retire","site":4,"plan":"abc"}`,
	"/v1/slots/plan": `{"slots":[{"from":1,"to":2}],"to":2}`, "/v1/slots/apply": `{"slots":[{"from":1,"to":2}],"to":2,"plan":"abc"}`,
	"/v1/slots/stay": `{"slots":[{"from":1,"to":2}]}`, "/v1/messages/acknowledge": `{"shard":1,"seqs":[1]}`,
	"/v1/shards/{id}/split/plan": `{}`, "/v1/shards/{id}/split/apply": `{"slots":[{"from":1,"to":2}],"plan":"abc"}`,
	"/v1/shards/{id}/split/cancel": `{}`, "/v1/drill-runs": `{"drill":"site-cut"}`,
	"/v1/customers": `{"id":"2088000000020025"}`, "/v1/aliases/find": `{"alias":"alice@example.com"}`,
	"/v1/payment-codes/picture":  `{"code":"280000000212345678"}`,
	"/v1/customers/{id}/aliases": `{"alias":"alice@example.com"}`, "/v1/customers/{id}/aliases/remove": `{"alias":"nobody@example.com"}`,
	"/v1/customers/{id}/bank-accounts": `{"number":"6222000000000001","holder":"Alice"}`,
	"/v1/merchants/{id}/bank-accounts": `{"number":"6222000000000001","holder":"Tea House"}`,
	"/v1/customers/{id}/agreements":    `{"app_id":"2021000000010010","scopes":["auth_base"]}`,
	"/v1/customers/{id}/wallets":       `{"asset":"CNY"}`, "/v1/customers/{id}/wallets/{asset}/limits": `{}`,
	"/v1/customers/{id}/top-ups": `{"asset":"CNY","amount":1}`, "/v1/payouts": `{"owner":"2088000000020025","asset":"CNY","amount":1}`,
	"/v1/trades/{merchant}/{out_trade_no}/pay": `{"payer":"2088000000020025"}`, "/v1/codes/open": `{"token":"x"}`,
	"/v1/authorisations/{merchant}/{out_order_no}/authorise": `{"payer":"2088000000020025"}`,
	"/v1/escrows/{merchant}/{out_trade_no}/confirm":          `{"by":"2088000000020025"}`, "/v1/escrows/{merchant}/{out_trade_no}/dispute": `{"by":"2088000000020025"}`,
	"/v1/merchants": `{"id":"2088000000030030","name":"x","zone":"Asia/Shanghai"}`, "/v1/merchants/{id}/fee": `{"basis_points":60}`,
	"/v1/merchants/{id}/block": `{"blocked":false}`, "/v1/merchants/{id}/currencies": `{"asset":"CNY"}`, "/v1/merchants/{id}/apps": `{"notify":"https://shop.example/cb"}`,
	"/v1/merchants/{id}/mandates":           `{"app_id":"2021000000020020","own_app_id":"` + pay.AppID(must(ownerOf(1)), 0) + `"}`,
	"/v1/merchants/{id}/apps/{app}/disable": `{"disabled":true}`, "/v1/merchants/{id}/apps/{app}/check-signature": `{"text":"a=b"}`, "/v1/merchants/{id}/shops": `{"id":"east"}`, "/v1/merchants/{id}/keys": `{"name":"x"}`,
	"/v1/webhooks": `{"merchant":"2088000000010018","url":"https://shop.example/hooks"}`, "/v1/webhooks/{merchant}/endpoints/{endpoint}": `{}`,
	"/v1/reconciliation/cases/{case}/explain": `{"why":"x"}`, "/v1/reconciliation/cases/{case}/close": `{"why":"x"}`,
	"/v1/reconciliation/deposits/{deposit}/assign": `{"to":"2088000000020025"}`,
	"/v1/trades": `{"merchant":"2088000000010018","amount":1,"asset":"CNY","subject":"tea"}`, "/v1/trades/{merchant}/{out_trade_no}/splits": `{"finish":true}`,
	"/v1/refunds":     `{"merchant":"2088000000010018","out_trade_no":"T-1","amount":1}`,
	"/v1/settlements": `{"merchant":"2088000000010018","day":"2026-11-20"}`, "/v1/escrows/{merchant}/{out_trade_no}/ship": `{"within_s":3600}`,
	"/v1/escrows/{merchant}/{out_trade_no}/release": `{"total":1}`, "/v1/escrows/{merchant}/{out_trade_no}/decide": `{"to_merchant":0}`,
	"/v1/sessions": `{"as":"customer","login":"alice@example.com","password":"x"}`, "/v1/sessions/passkey": `{"state":"x","credential":"{}"}`,
	"/v1/session/password": `{"password":"x"}`, "/v1/session/passkeys": `{"state":"x","credential":"{}"}`, "/v1/session/passkeys/{passkey}/name": `{"name":"x"}`,
	"/v1/invitations/read": `{"invitation":"x"}`, "/v1/invitations/accept": `{"invitation":"x","password":"x"}`,
	"/v1/merchants/{id}/people": `{"login":"lina@tea.example","right":"look"}`, "/v1/merchants/{id}/people/{person}": `{"right":"look"}`,
	"/v1/operators": `{"name":"wei","role":"reader"}`, "/v1/operators/{person}": `{"role":"reader"}`,
	"/v1/authorisations": `{"merchant":"2088000000010018","amount":1,"asset":"CNY"}`, "/v1/authorisations/{merchant}/{out_order_no}/unfreeze": `{"amount":1}`,
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// concrete is a path with values for its parameters.
func concrete(path string) string {
	id := uuid1
	for name, value := range map[string]string{
		"merchant": must(ownerOf(1)).String(), "owner": must(ownerOf(2)).String(), "asset": "CNY", "device": "1", "account": "main", "app_id": "2021000000010010", "number": "n-1", "out_trade_no": "T-1",
		"run": uuid9, "out_order_no": "A-1", "receipt": "0000000000000000-0000000000000000",
		"app": pay.AppID(must(ownerOf(1)), 0), "shop": "east", "key": "aaaaaaaa", "day": "2026-11-20", "out_request_no": "R-1",
		"endpoint": "we0123456789abcdef", "event": must(ownerOf(1)).String() + "-0000000000000000-0000000000000000", "delivery": "0000000000000000-0000000000000000:notice", "case": "c-1", "deposit": "d-1", "person": "aaaaaaaa", "session": "aaaaaaaaaaaaaaaa", "passkey": "aaaaaaaaaaaaaaaa",
	} {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	switch {
	case strings.HasPrefix(path, "/v1/merchants/"):
		id = must(ownerOf(1)).String()
	case strings.HasPrefix(path, "/v1/customers/"):
		id = must(ownerOf(2)).String()
	case strings.HasPrefix(path, "/v1/accounts/"):
		id = wallet
	case strings.HasPrefix(path, "/v1/shards/"):
		id = "1"
	}
	return pathParameter.ReplaceAllString(path, id)
}

// keyFor is what an operation takes: the key of an operator, or a session of a customer that nobody else uses.
func keyFor(op *huma.Operation) string {
	if len(op.Security) == 1 && op.Security[0]["session"] != nil {
		return standing().newSession(standing().alice)
	}
	return operatorKey
}

// TestDocumentDeclaresWhatIsRead: a parameter with a bad value is named in the refusal if the operation reads it. What is read is
// declared, and what is declared is read.
func TestDocumentDeclaresWhatIsRead(t *testing.T) {
	api := newPayingAPI(&fake{forecast: true})
	for name, op := range theDocument().ops {
		declared := map[string]bool{}
		for _, p := range op.Parameters {
			declared[p.In+" "+p.Name] = true
			if p.Description == "" && p.In != "path" {
				t.Errorf("%s: %s is not explained", name, p.Name)
			}
		}
		for _, m := range pathParameter.FindAllStringSubmatch(op.Path, -1) {
			if !declared["path "+m[1]] {
				t.Errorf("%s does not declare %s, which is in its path", name, m[1])
			}
		}
		reads := func(query string, headers ...string) string {
			_, header, body := ask(t, api, op.Method, concrete(op.Path)+query, keyFor(op), bodies[op.Path], headers...)
			if kind := header.Get("Content-Type"); strings.HasPrefix(kind, "text/") || kind == svgType {
				return "" // it was answered
			}
			var p Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil {
				t.Fatalf("%s: %s: %v", name, body, err)
			}
			if strings.Contains(p.Detail, "no such parameter") {
				return ""
			}
			return p.Field
		}
		for what, read := range map[string]bool{
			"header " + deadlineHeader:    reads("", deadlineHeader, "soon") == deadlineHeader,
			"header " + idempotencyHeader: reads("", idempotencyHeader, strings.Repeat("x", 256)) == idempotencyHeader,
			"query consistency":           reads("?consistency=maybe") == "consistency",
			"query limit":                 reads("?index=a&ref="+uuid1+"&limit=0") == "limit" || reads("?limit=0") == "limit",
			"query cursor":                reads("?ref="+uuid1+"&cursor=!") == "cursor" || reads("?cursor=!") == "cursor",
			"query at":                    reads("?at=noon") == "at",
			"query since":                 reads("?since=noon&merchant="+must(ownerOf(1)).String()) == "since",
			"query from":                  reads("?from=noon&merchant="+must(ownerOf(1)).String()) == "from",
			"query ref":                   reads("?ref=1") == "ref",
			"query debit":                 reads("?debit=1") == "debit",
			"query credit":                reads("?credit=1") == "credit",
		} {
			if read != declared[what] {
				t.Errorf("%s: %s is read: %t, declared: %t", name, what, read, declared[what])
			}
		}
	}
}

// The scanner, the documented types and the schemas of the document are lists of the same members.
func TestScannerKnowsWhatIsDocumented(t *testing.T) {
	for _, row := range []struct {
		known []string
		body  any
	}{
		{transactionMembers, TransactionBody{}},
		{submissionMembers, submissionBody{}},
		{transferMembers, TransferBody{}},
		{accountOpMembers, accountOpBody{}},
		{openMembers, openAccountBody{}},
		{preconditionMembers, preconditionBody{}},
		{recordMembers, recordChangeBody{}},
		{messageMembers, MessageBody{}},
		{holdMembers, holdRequestBody{}},
		{settleMembers, settleBody{}},
		{voidMembers, voidBody{}},
		{leaderMembers, leaderBody{}},
		{rebuildMembers, rebuildBody{}},
		{siteRequestMembers, SiteRequestBody{}},
		{siteApplyMembers, siteApplyBody{}},
		{slotRequestMembers, SlotRequestBody{}},
		{slotApplyMembers, slotApplyBody{}},
		{slotStayMembers, slotStayBody{}},
		{slotRangeMembers, slotsBody{}},
		{sendMembers, SendBody{}},
		{registerCustomerMembers, registerCustomerBody{}},
		{aliasMembers, aliasBody{}},
		{limitsMembers, LimitsBody{}},
		{openWalletMembers, openWalletBody{}},
		{moneyMembers, moneyBody{}},
		{withdrawMembers, withdrawBody{}},
		{payTradeMembers, payTradeBody{}},
		{openCodeMembers, openCodeBody{}},
		{pictureMembers, pictureBody{}},
		{authoriseMembers, authoriseBody{}},
		{buyerMembers, buyerBody{}},
		{bankAccountMembers, bankAccountBody{}},
		{payToMembers, PayToBody{}},
		{agreeMembers, agreeBody{}},
		{registerMerchantMembers, registerMerchantBody{}},
		{feeMembers, FeeBody{}},
		{blockMembers, merchantBlockBody{}},
		{currencyMembers, merchantCurrencyBody{}},
		{putAppMembers, putAppBody{}},
		{disableMembers, disableAppBody{}},
		{checkSignatureMembers, checkSignatureBody{}},
		{shopMembers, ShopBody{}},
		{issueKeyMembers, issueKeyBody{}},
		{tradeAskMembers, tradeAskBody{}},
		{splitTradeMembers, splitTradeBody{}},
		{shareMembers, shareBody{}},
		{refundAskMembers, refundAskBody{}},
		{settleDayMembers, settleDayBody{}},
		{shipMembers, shipBody{}},
		{releaseMembers, releaseBody{}},
		{decideMembers, decideBody{}},
		{authAskMembers, authAskBody{}},
		{unfreezeMembers, unfreezeBody{}},
		{newEndpointMembers, newEndpointBody{}},
		{changeEndpointMembers, changeEndpointBody{}},
		{workCaseMembers, workCaseBody{}},
		{assignMembers, assignDepositBody{}},
		{signInMembers, signInBody{}},
		{passwordMembers, passwordBody{}},
		{readInvitationMembers, readInvitationBody{}},
		{acceptMembers, acceptBody{}},
		{passkeySignInMembers, passkeySignInBody{}},
		{addPasskeyMembers, addPasskeyBody{}},
		{namePasskeyMembers, namePasskeyBody{}},
		{addPersonMembers, addPersonBody{}},
		{changePersonMembers, changePersonBody{}},
		{addOperatorMembers, addOperatorBody{}},
		{changeOperatorMembers, changeOperatorBody{}},
		{startDrillMembers, startDrillBody{}},
	} {
		if got := jsonNames(reflect.TypeOf(row.body)); !slices.Equal(got, row.known) {
			t.Errorf("%T documents %v, the scanner knows %v", row.body, got, row.known)
		}
		name := huma.DefaultSchemaNamer(reflect.TypeOf(row.body), "")
		s := theDocument().Components.Schemas.Map()[name]
		if s == nil {
			t.Errorf("%s is not in the document", name)
			continue
		}
		if got, want := slices.Sorted(maps.Keys(s.Properties)), slices.Sorted(slices.Values(row.known)); !slices.Equal(got, want) {
			t.Errorf("the document has %v of %s, the scanner knows %v", got, name, want)
		}
	}
}

// TestWhatIsNotDocumentedIsRefused: a body with a member that the document does not know is refused, and the document says so.
func TestWhatIsNotDocumentedIsRefused(t *testing.T) {
	d, api := theDocument(), newPayingAPI(&fake{})
	bodies := 0
	for name, op := range d.ops {
		if op.RequestBody == nil {
			continue
		}
		bodies++
		if open := d.open(op.RequestBody.Content[jsonType].Schema, map[string]bool{}); open != "" {
			t.Errorf("%s: %s lets other members in than it knows", name, open)
		}
		if status, _, body := ask(t, api, op.Method, concrete(op.Path), keyFor(op), `{"surprise":1}`); status != http.StatusBadRequest || !strings.Contains(body, "surprise") {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if bodies < 15 {
		t.Errorf("only %d operations take a body: this proves little", bodies)
	}
}

// open names an object, of those that a schema is made of, which may have members that it does not know; "": there is none.
func (d *document) open(s *huma.Schema, seen map[string]bool) string {
	name := s.Ref
	if name != "" {
		if seen[name] {
			return ""
		}
		seen[name] = true
		s = d.Components.Schemas.SchemaFromRef(name)
	}
	if s.Type == huma.TypeObject && s.AdditionalProperties != false {
		return "object " + name
	}
	parts := slices.Concat(s.OneOf, s.AnyOf, s.AllOf, slices.Collect(maps.Values(s.Properties)))
	if s.Items != nil {
		parts = append(parts, s.Items)
	}
	for _, part := range parts {
		if open := d.open(part, seen); open != "" {
			return open
		}
	}
	return ""
}

func jsonNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			names = append(names, jsonNames(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// Whoever makes a client of the document must be able to send and read every value.
func TestDocumentKnowsNoNullAndNoNarrowNumber(t *testing.T) {
	text, err := json.Marshal(theDocument().OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), `"null"`) {
		t.Error("null is documented: the API reads and writes none")
	}
	d := theDocument()
	for _, code := range []string{"0", "4294967295"} {
		body := `{"debit":"` + wallet + `","credit":"` + shop + `","amount":1,"code":` + code + `}`
		if err := d.validate(d.ops["POST /v1/transfers"].RequestBody.Content[jsonType].Schema, huma.ModeWriteToServer, []byte(body)); err != nil {
			t.Error(err)
		}
	}
	if f := d.Components.Schemas.Map()["TransferBody"].Properties["code"].Format; f != "int64" {
		t.Errorf("a code has the format %s: it may be 4294967295", f)
	}
}

// TestDocumentSaysWhatIsEasilyTakenForGranted: what a caller would not expect stands where he reads it.
func TestDocumentSaysWhatIsEasilyTakenForGranted(t *testing.T) {
	d := theDocument()
	property := func(body, name string) string { return d.Components.Schemas.Map()[body].Properties[name].Description }
	for where, text := range map[string]string{
		"expect":  property("RecordChangeBody", "expect"),
		"delete":  property("RecordChangeBody", "delete"),
		"version": property("RecordBody", "version"),
	} {
		if !strings.Contains(text, "starts at version 1 again") {
			t.Errorf("%s does not say that a record which was deleted has the versions of its first life again: %q", where, text)
		}
	}
	for _, op := range []string{"GET /v1/transactions/{id}", "GET /v1/transfers/{id}", "POST /v1/holds", "GET /v1/holds/{id}", "POST /v1/holds/{id}/post", "POST /v1/holds/{id}/void"} {
		if text := d.ops[op].Description; !strings.Contains(text, "unique over all payers") {
			t.Errorf("%s does not say that an id is used once: %q", op, text)
		}
	}
	trust := d.ops["POST /v1/shards/{id}/trust"].Description
	if strings.Contains(trust, "until the site starts again") || !strings.Contains(trust, "The decision is stored") {
		t.Errorf("the decision to trust a replica is stored: %q", trust)
	}
}
