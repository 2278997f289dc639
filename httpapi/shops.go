package httpapi

import (
	"context"
	"net/http"

	"holdfast/guard"
	"holdfast/pay"
)

func (a *api) shopRoutes(r *router) {
	add[putShopIn, jsonOut[ShopBody]](r, operation{
		name: "put-shop", method: post, path: "/v1/merchants/{id}/shops", tag: tagMerchants, summary: "Add a shop of a merchant with its tills, or change it",
		text:   "A change replaces name and tills. " + againDone,
		action: guard.ManageMerchants, sellers: true, handle: a.atTill(postShop),
	})
	add[shopsIn, jsonOut[shopsBody]](r, operation{
		name: "merchant-shops", method: get, path: "/v1/merchants/{id}/shops", tag: tagMerchants, summary: "Page through the shops of a merchant, by id",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getShops),
	})
	add[shopIn, jsonOut[ShopBody]](r, operation{
		name: "read-shop", method: get, path: "/v1/merchants/{id}/shops/{shop}", tag: tagMerchants, summary: "Read a shop",
		action: guard.ReadMoney, sellers: true, handle: a.atTill(getShop),
	})
}

type putShopIn struct {
	NumberIn
	PathOwner
	Body ShopBody
}

// ShopBody is where a merchant sells.
type ShopBody struct {
	ID    string   `json:"id" maxLength:"64" doc:"The merchant's own name for it: letters, digits, . _ : -"`
	Name  string   `json:"name,omitempty" doc:"At most 128 bytes"`
	Tills []string `json:"tills,omitempty" maxItems:"200"`
}

var shopMembers = []string{"id", "name", "tills"}

type shopsIn struct {
	PathOwner
	PageIn
}

type shopIn struct {
	PathOwner
	Shop string `path:"shop" maxLength:"64" doc:"Id of the shop"`
	DeadlineIn
}

type shopsBody struct {
	Shops []ShopBody `json:"shops"`
	Next  string     `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
}

func shopBodyOf(v *pay.Shop) ShopBody { return ShopBody{v.ID, v.Name, v.Tills} }

func postShop(ctx context.Context, t *till) error {
	var shop pay.Shop
	err := t.x.object(shopMembers, func(s *scanner, name string) {
		switch name {
		case "id":
			shop.ID = s.words()
		case "name":
			shop.Name = s.words()
		case "tills":
			for range s.elements(maxList) {
				shop.Tills = append(shop.Tills, s.words())
			}
		}
	})
	if err != nil {
		return err
	}
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	if err := t.PutShop(ctx, o, shop, t.at); err != nil {
		return renamed(err, "shop", "id")
	}
	return t.x.sendJSON(http.StatusOK, shopBodyOf(&shop))
}

func getShops(ctx context.Context, t *till) error {
	after, limit, err := t.x.page()
	if err != nil {
		return err
	}
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	list, next, err := t.Shops(ctx, o, after, limit)
	if err != nil {
		return err
	}
	body := shopsBody{Shops: []ShopBody{}, Next: next}
	for i := range list {
		body.Shops = append(body.Shops, shopBodyOf(&list[i]))
	}
	return t.x.sendJSON(http.StatusOK, body)
}

func getShop(ctx context.Context, t *till) error {
	o, err := t.pathMerchant("id")
	if err != nil {
		return err
	}
	shop, err := t.Shop(ctx, o, t.x.r.PathValue("shop"), "")
	if err != nil {
		return err
	}
	return t.x.sendJSON(http.StatusOK, shopBodyOf(&shop))
}
