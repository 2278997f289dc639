package httpapi

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
)

// customerRoutes are the operations of customers: who they are, and what they do with their money.
func (a *api) customerRoutes(r *router) {
	a.customerRecordRoutes(r)
	a.walletRoutes(r)
	a.customerMoneyRoutes(r)
	a.customerPayRoutes(r)
	a.customerBankRoutes(r)
	a.agreementRoutes(r)
	a.pictureRoutes(r)
	a.customerListRoutes(r)
}

func (a *api) customerRecordRoutes(r *router) {
	add[registerCustomerIn, jsonOut[customerBody]](r, operation{
		name: "register-customer", method: post, path: "/v1/customers", tag: tagCustomers, summary: "Register a customer, with wallets",
		text: "The id is an owner number that POST /v1/owners gave. Phone numbers and e-mail addresses are kept as keyed hashes only. Registering the " +
			"same once more is done and goes on where it stopped; with other aliases, or a wallet more, it is refused as customer-exists.",
		action: guard.ManageCustomers, handle: a.atTill(postCustomer),
	})
	add[readCustomerIn, jsonOut[customerBody]](r, operation{
		name: "read-customer", method: get, path: "/v1/customers/{id}", tag: tagCustomers, summary: "Read who a customer is",
		action: guard.ReadMoney, buyers: true, handle: a.atTill(getCustomer),
	})
	add[aliasIn, jsonOut[customerBody]](r, operation{
		name: "add-alias", method: post, path: "/v1/customers/{id}/aliases", tag: tagCustomers, summary: "Give a customer one more phone number or e-mail address",
		text: againDone, action: guard.ManageCustomers, handle: a.atTill(postAlias),
	})
	add[aliasIn, jsonOut[customerBody]](r, operation{
		name: "remove-alias", method: post, path: "/v1/customers/{id}/aliases/remove", tag: tagCustomers, summary: "Take an alias from a customer: anybody may have it then",
		text: againDone, action: guard.ManageCustomers, handle: a.atTill(postAliasRemove),
	})
	add[findAliasIn, jsonOut[foundCustomerBody]](r, operation{
		name: "find-alias", method: post, path: "/v1/aliases/find", tag: tagCustomers, summary: "Find who has an alias",
		text:   "It changes nothing. It is a POST so that no phone number stands in a URL.",
		action: guard.ReadMoney, handle: a.atTill(postAliasFind),
	})
	add[addDeviceIn, jsonOut[newDeviceBody]](r, operation{
		name: "add-device", method: post, path: "/v1/customers/{id}/devices", tag: tagCustomers, summary: "Let a phone show payment codes",
		text: "The Idempotency-Key is needed here. The secret is in this answer and nowhere else: the phone keeps it, and shows \"28\", the digits 5 to 12 of the " +
			"customer's number, and 8 digits by RFC 6238 with HMAC-SHA-256 and steps of 60 seconds. The same key again gives the same secret, " +
			"so that an answer that was lost is not a phone that is lost.",
		action: guard.ManageCustomers, buyers: true, handle: a.atTill(postDevice),
	})
	add[removeDeviceIn, jsonOut[customerBody]](r, operation{
		name: "remove-device", method: post, path: "/v1/customers/{id}/devices/{device}/remove", tag: tagCustomers, summary: "Refuse the codes of a phone from now on",
		text: againDone, action: guard.ManageCustomers, buyers: true, handle: a.atTill(postDeviceRemove),
	})
}

// LimitsBody bounds what can be spent from one wallet.
type LimitsBody struct {
	Payment int64 `json:"payment,omitempty" minimum:"0" doc:"For one payment, in minor units; 0: none"`
	Day     int64 `json:"day,omitempty" minimum:"0" doc:"For a calendar day"`
	Month   int64 `json:"month,omitempty" minimum:"0" doc:"For a calendar month"`
}

var limitsMembers = []string{"payment", "day", "month"}

func (s *scanner) limits() (l pay.Limits) {
	for name := range s.members(limitsMembers) {
		s.limitsMember(name, &l)
	}
	return l
}

func (s *scanner) limitsMember(name string, l *pay.Limits) {
	switch name {
	case "payment":
		l.Payment = s.amount()
	case "day":
		l.Day = s.amount()
	case "month":
		l.Month = s.amount()
	}
}

func limitsBodyOf(l pay.Limits) LimitsBody {
	return LimitsBody{int64(l.Payment), int64(l.Day), int64(l.Month)}
}

type registerCustomerIn struct {
	NumberIn
	Body registerCustomerBody
}

type registerCustomerBody struct {
	ID      string      `json:"id" doc:"An owner number from POST /v1/owners" example:"2088000000010420"`
	Aliases []string    `json:"aliases,omitempty" maxItems:"8" doc:"Phone numbers and e-mail addresses by which others send money; nobody else may have them"`
	Assets  []string    `json:"assets,omitempty" maxItems:"16" doc:"Currencies of the wallets to open" example:"CNY"`
	Limits  *LimitsBody `json:"limits,omitempty" doc:"Of every wallet; none if left out"`
}

var registerCustomerMembers = []string{"id", "aliases", "assets", "limits"}

type readCustomerIn struct {
	PathOwner
	DeadlineIn
}

type customerBody struct {
	ID         string       `json:"id" example:"2088000000010420"`
	Registered string       `json:"registered" format:"date-time"`
	Aliases    int          `json:"aliases" doc:"How many there are: they are kept as hashes, and cannot be shown"`
	Devices    []deviceBody `json:"devices" doc:"Phones that show payment codes"`
}

type deviceBody struct {
	Device int    `json:"device" doc:"Number of the phone"`
	Added  string `json:"added" format:"date-time"`
}

func customerBodyOf(o holdfast.Owner, v *pay.Customer) customerBody {
	b := customerBody{ID: o.String(), Registered: timeText(v.Registered), Aliases: len(v.Aliases), Devices: []deviceBody{}}
	for _, d := range v.Devices {
		b.Devices = append(b.Devices, deviceBody{int(d.Number), timeText(d.Added)})
	}
	return b
}

func postCustomer(ctx context.Context, t *till) error {
	var ask pay.CustomerAsk
	err := t.x.object(registerCustomerMembers, func(s *scanner, name string) {
		switch name {
		case "id":
			ask.Owner = s.owner()
		case "aliases":
			for range s.elements(maxList) {
				ask.Aliases = append(ask.Aliases, s.string(maxAlias))
			}
		case "assets":
			for range s.elements(maxList) {
				ask.Assets = append(ask.Assets, s.asset())
			}
		case "limits":
			ask.Limits = s.limits()
		}
	})
	switch {
	case err != nil:
		return err
	case ask.Owner == 0:
		return edgeMalformed.field("id", "give the owner number of the customer: POST /v1/owners issues one")
	}
	t.wrote = true // aliases are claimed one by one, before the rest
	made, err := t.RegisterCustomer(ctx, ask, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, customerBodyOf(ask.Owner, &made))
}

// maxAlias is wider than the longest e-mail address, so that it is package pay that says what an alias is.
const maxAlias = 512

func getCustomer(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	return t.sendCustomer(ctx, o)
}

// sendCustomer answers with who a customer is now.
func (t *till) sendCustomer(ctx context.Context, o holdfast.Owner) error {
	v, err := t.Customer(ctx, o)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, customerBodyOf(o, &v))
}

type aliasIn struct {
	NumberIn
	PathOwner
	Body aliasBody
}

type findAliasIn struct {
	NumberIn
	Body aliasBody
}

type aliasBody struct {
	Alias string `json:"alias" doc:"A phone number, + with the country and 8 to 15 digits in all, or a mainland Chinese mobile number without; or an e-mail address. Blanks, dashes, dots and brackets do not count" example:"+86 139 0000 0001"`
}

var aliasMembers = []string{"alias"}

type foundCustomerBody struct {
	ID string `json:"id" example:"2088000000010420"`
}

func (x *exchange) alias() (alias string, err error) {
	err = x.object(aliasMembers, func(s *scanner, _ string) { alias = s.string(maxAlias) })
	return alias, err
}

func postAlias(ctx context.Context, t *till) error {
	return t.changeAlias(ctx, t.AddAlias)
}

func postAliasRemove(ctx context.Context, t *till) error {
	return t.changeAlias(ctx, t.RemoveAlias)
}

func (t *till) changeAlias(ctx context.Context, how func(context.Context, holdfast.Owner, string, holdfast.Time) error) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	alias, err := t.x.alias()
	if err != nil {
		return err
	}
	t.wrote = true // it takes two steps
	if err := how(ctx, o, alias, t.at); err != nil {
		return err
	}
	return t.sendCustomer(ctx, o)
}

func postAliasFind(ctx context.Context, t *till) error {
	alias, err := t.x.alias()
	if err != nil {
		return err
	}
	o, err := t.FindAlias(ctx, alias)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, foundCustomerBody{o.String()})
}

type addDeviceIn struct {
	NumberIn
	PathOwner
}

type removeDeviceIn struct {
	NumberIn
	PathOwner
	Device int `path:"device" minimum:"1" maximum:"255" doc:"Number of the phone"`
}

type newDeviceBody struct {
	Device int    `json:"device" doc:"Number of the phone"`
	Secret string `json:"secret" contentEncoding:"base64" doc:"32 bytes in base64. The site keeps them sealed and does not show them again"`
}

func postDevice(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	if t.key == "" {
		return edgeMalformed.field(idempotencyHeader, "send an Idempotency-Key header, and the same one when you ask again: else a lost answer would be a phone too many")
	}
	secret, err := t.deviceSecret(o)
	if err != nil {
		return err
	}
	var nonce [pay.NonceBytes]byte
	if err := t.fill(nonce[:]); err != nil {
		return err
	}
	n, err := t.AddDevice(ctx, o, secret, nonce, t.at)
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, newDeviceBody{int(n), base64.StdEncoding.EncodeToString(secret[:])})
}

// deviceSecret is the secret of the phone that a request adds. It follows from the platform's key and the request (HKDF, RFC 5869), so that
// a request that is made twice, at two sites, adds one phone; without the key it is as good as random.
func (t *till) deviceSecret(o holdfast.Owner) (secret [pay.SecretBytes]byte, err error) {
	b, err := hkdf.Key(sha256.New, t.CodeKey, nil, fmt.Sprintf("holdfast device %s %s", o, t.key), len(secret))
	copy(secret[:], b)
	return secret, err
}

func postDeviceRemove(ctx context.Context, t *till) error {
	o, err := t.x.pathMine("id")
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(t.x.r.PathValue("device"), 10, 8)
	if err != nil || n == 0 {
		return edgeMalformed.field("device", "the number of a phone is 1 to 255")
	}
	if err := t.x.emptyBody(); err != nil {
		return err
	}
	if err := t.did(t.RemoveDevice(ctx, o, uint8(n), t.at)); err != nil {
		return err
	}
	return t.sendCustomer(ctx, o)
}
