package httpapi

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"net/http"
	"sync"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/signin"
)

// sellers are the keys of merchants that have been looked up of late, so that a request costs no read for its key. One that was revoked is
// taken for sellerLife more at the sites that know it.
type sellers struct {
	mu    sync.Mutex
	known map[guard.Hash]seller // guarded by mu; at most maxSellers
}

type seller struct {
	merchant holdfast.Owner
	name     string // safe to log
	until    holdfast.Time
}

const (
	sellerLife = 5_000_000_000
	maxSellers = 1 << 16
)

func (s *sellers) find(h guard.Hash, now holdfast.Time) (seller, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, found := s.known[h]
	return k, found && now < k.until
}

func (s *sellers) learn(h guard.Hash, k seller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= maxSellers {
		s.known = map[guard.Hash]seller{} // each is one read away
	}
	s.known[h] = k
}

// admitMerchant finds out whose key it is. What the request is about is looked at by its handler: see actsFor.
func (e *endpoint) admitMerchant(x *exchange, key string) error {
	c := e.api.commerce
	if c == nil {
		return edgeNoKey.field("Authorization", "keys of merchants are not known here: this site was started without payments")
	}
	now, hash := c.now(), guard.HashOf(key)
	k, known := e.api.sellers.find(hash, now)
	if !known {
		ctx, cancel := context.WithTimeout(e.api.life, x.patience(e.api.deadline))
		defer cancel()
		owner, found, ok, err := c.Cashier.CheckKey(ctx, key)
		here := false
		if err != nil && x.late && c.Here != nil {
			ctx, cancel := context.WithTimeout(e.api.life, lateSignIn)
			defer cancel()
			if o, v, known, failed := c.Cashier.On(c.Here).CheckKey(ctx, key); failed == nil && known {
				owner, found, ok, err, here = o, v, true, nil, true
			}
		}
		switch {
		case err != nil:
			return (&till{api: e.api, Commerce: c, Cashier: c.Cashier, x: x, at: now}).problem(err)
		case !ok:
			return edgeNoKey.field("Authorization", "this key of a merchant is not known: it was revoked, or cut while it was copied")
		}
		k = seller{owner, "merchant-" + owner.String() + "-" + found.ID, now + sellerLife}
		if !here { // what this site alone vouches for is good for one answer
			e.api.sellers.learn(hash, k)
		}
	}
	x.who, x.merchant = guard.Principal{Name: k.name}, k.merchant
	if !e.sellers {
		return edgeForbidden.problem("This is the key of a merchant, who may not do this: a key of the platform is needed.")
	}
	return nil
}

// actsFor refuses what is not about the merchant whose key was sent, or the customer whose session. Every handler of an operation that takes such keys asks it.
func (x *exchange) actsFor(o holdfast.Owner) error {
	switch {
	case x.merchant != 0 && x.merchant != o:
		return edgeForbidden.problem("The key or session is one of merchant " + x.merchant.String() + " and may only be used for what is his.")
	case x.buyer != 0 && x.buyer != o:
		return edgeForbidden.problem("The session is one of customer " + x.buyer.String() + " and may only be used for what is theirs.")
	}
	return nil
}

// platformOnly refuses a member that the keys of merchants may not send.
func (x *exchange) platformOnly(member string, sent bool) error {
	if x.merchant != 0 && sent {
		p := edgeForbidden.problem("The key of a merchant may not say this: leave it out, or use a key of the platform.")
		p.Field = member
		return p
	}
	return nil
}

// pathMerchant is the merchant that the path names, whose key may be used for it.
func (t *till) pathMerchant(name string) (holdfast.Owner, error) {
	o, err := t.x.pathOwner(name)
	if err != nil {
		return 0, err
	}
	return o, t.x.actsFor(o)
}

// queryMerchant is the merchant that the query names; a merchant's own key need not name him.
func (t *till) queryMerchant() (holdfast.Owner, error) {
	text := t.x.query.get("merchant")
	if text == "" && t.x.merchant != 0 {
		return t.x.merchant, nil
	}
	o, err := holdfast.ParseOwner(text)
	if err != nil {
		return 0, edgeMalformed.field("merchant", "name the merchant: ?merchant= and his 16 digits: %v", err)
	}
	return o, t.x.actsFor(o)
}

// bodyMerchant is the merchant that a body names; a merchant's own key need not name him.
func (t *till) bodyMerchant(o holdfast.Owner) (holdfast.Owner, error) {
	switch {
	case o == 0 && t.x.merchant != 0:
		return t.x.merchant, nil
	case o == 0:
		return 0, edgeMalformed.field("merchant", "name the merchant: his 16 digits")
	}
	return o, t.x.actsFor(o)
}

// MerchantIn documents the parameter that names a merchant.
type MerchantIn struct {
	Merchant string `query:"merchant" doc:"16 digits; may be left out with a key of the merchant" example:"2088000000010420"`
}

func (a *api) merchantKeyRoutes(r *router) {
	add[issueKeyIn, jsonOut[issuedKeyBody]](r, operation{
		name: "issue-merchant-key", method: post, path: "/v1/merchants/{id}/keys", tag: tagMerchants, summary: "Make an API key for a merchant",
		text: "Whoever has it may ask for what is that merchant's, wherever an operation says that it takes a key of the merchant, and for nothing " +
			"else. The secret is stored nowhere; at most ten keys at a time. With an Idempotency-Key the same request again answers with the same key, or " +
			"with key-revoked if it was revoked since; without one every call makes another key.",
		action: guard.ManageMerchants, staff: signin.Manage, ok: []int{http.StatusCreated}, handle: a.atTill(postMerchantKey),
	})
	add[merchantIn, jsonOut[merchantKeysBody]](r, operation{
		name: "merchant-keys", method: get, path: "/v1/merchants/{id}/keys", tag: tagMerchants, summary: "List the API keys of a merchant",
		action: guard.ReadMoney, staff: signin.Manage, handle: a.atTill(getMerchantKeys),
	})
	add[revokeKeyIn, jsonOut[merchantKeysBody]](r, operation{
		name: "revoke-merchant-key", method: post, path: "/v1/merchants/{id}/keys/{key}/revoke", tag: tagMerchants, summary: "End an API key of a merchant",
		text:   "Within seconds no site takes it any more. Answers with the keys that are left. " + againDone,
		action: guard.ManageMerchants, staff: signin.Manage, handle: a.atTill(postRevokeKey),
	})
}

type issueKeyIn struct {
	NumberIn
	PathOwner
	Body issueKeyBody
}

var issueKeyMembers = []string{"name"}

type issueKeyBody struct {
	Name string `json:"name" maxLength:"128" doc:"For people: who uses it"`
}

type merchantIn struct {
	PathOwner
	DeadlineIn
}

type revokeKeyIn struct {
	NumberIn
	PathOwner
	Key string `path:"key" doc:"Id of the key: 8 characters" example:"k3wz2v5q"`
}

// MerchantKeyBody is a key without its secret.
type MerchantKeyBody struct {
	ID      string `json:"id" example:"k3wz2v5q"`
	Name    string `json:"name"`
	Created string `json:"created" format:"date-time"`
}

type issuedKeyBody struct {
	MerchantKeyBody
	Secret string `json:"secret" doc:"Send it as Authorization: Bearer. It is not shown again" example:"hfm_2088000000010420_k3wz2v5q..."`
}

type merchantKeysBody struct {
	Keys []MerchantKeyBody `json:"keys"`
}

func merchantKeyBodyOf(k *pay.MerchantKey) MerchantKeyBody {
	return MerchantKeyBody{ID: k.ID, Name: k.Name, Created: k.Created.String()}
}

func postMerchantKey(ctx context.Context, t *till) error {
	var name string
	err := t.x.object(issueKeyMembers, func(s *scanner, _ string) { name = s.words() })
	if err != nil {
		return err
	}
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	random, err := t.keyBytes(o)
	if err != nil {
		return err
	}
	k, secret, err := t.IssueKey(ctx, o, name, random, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusCreated, issuedKeyBody{merchantKeyBodyOf(&k), secret})
}

// keyBytes are what the key that a request asks for is made of. With a number they follow from the platform's key and the request, as the
// secret of a phone does: a lost answer leaves no key behind that nobody knows.
func (t *till) keyBytes(o holdfast.Owner) (random [pay.KeyBytes]byte, err error) {
	if t.key == "" {
		return random, t.fill(random[:])
	}
	b, err := hkdf.Key(sha256.New, t.CodeKey, nil, fmt.Sprintf("holdfast merchant key %s %s", o, t.key), len(random))
	copy(random[:], b)
	return random, err
}

func getMerchantKeys(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	if _, err := t.Merchant(ctx, o); err != nil {
		return err
	}
	return t.sendKeys(ctx, o)
}

func postRevokeKey(ctx context.Context, t *till) error {
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	if err := t.did(t.RevokeKey(ctx, o, t.x.r.PathValue("key"), t.at)); err != nil {
		return err
	}
	return t.sendKeys(ctx, o)
}

func (t *till) sendKeys(ctx context.Context, o holdfast.Owner) error {
	list, err := t.Keys(ctx, o)
	if err != nil {
		return err
	}
	body := merchantKeysBody{Keys: []MerchantKeyBody{}}
	for i := range list {
		body.Keys = append(body.Keys, merchantKeyBodyOf(&list[i]))
	}
	return t.x.sendJSON(http.StatusOK, body)
}
