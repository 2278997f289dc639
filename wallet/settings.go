package wallet

import (
	"context"
	"net/http"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// limitsOf are the limits of a wallet, as they are shown.
type limitsOf struct {
	Currency                 string
	Blocked                  bool
	Payment, Day, Month      string // "": no limit
	SpentDay, SpentMonth     string
	OfDay, OfMonth           int64 // minor units, for a meter
	SpentOfDay, SpentOfMonth int64
}

func (w *wallet) showSettings(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	list, err := w.API.Wallets(ctx, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	limit := func(n holdfast.Amount, asset holdfast.Asset) string {
		if n == 0 {
			return ""
		}
		return sum(n, asset)
	}
	var b []limitsOf
	for _, x := range list {
		b = append(b, limitsOf{
			Currency: x.Asset.String(), Blocked: x.Blocked, Payment: limit(x.Limits.Payment, x.Asset), Day: limit(x.Limits.Day, x.Asset), Month: limit(x.Limits.Month, x.Asset),
			SpentDay: sum(x.SpentDay, x.Asset), SpentMonth: sum(x.SpentMonth, x.Asset),
			OfDay: int64(x.Limits.Day), OfMonth: int64(x.Limits.Month), SpentOfDay: int64(x.SpentDay), SpentOfMonth: int64(x.SpentMonth),
		})
	}
	return page.Answer{Template: "settings", Body: b}
}

// devicesPage are the phones that show payment codes.
type devicesPage struct {
	Devices []client.Device
	Here    uint8 // this browser, as far as a cookie tells; 0: it does not
}

func (w *wallet) showDevices(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	c, err := w.API.Customer(ctx, v.Owner())
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "devices", Body: devicesPage{Devices: c.Devices}}
}

func (w *wallet) removeDevice(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	if bad, ok := posted(r); !ok {
		return bad
	}
	return w.dropDevice(ctx, v, r, "/wallet/devices/remove", v.Link("/wallet/devices", "done", "device-removed"))
}

// agreementsPage is what apps of merchants may know.
type agreementsPage struct {
	List []client.Agreement
	Next string
}

func (w *wallet) showAgreements(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	list, next, err := w.API.Agreements(ctx, v.Owner(), r.URL.Query().Get("cursor"), statementLines)
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "agreements", Body: agreementsPage{list, next}}
}

func (w *wallet) revokeAgreement(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	if bad, ok := posted(r); !ok {
		return bad
	}
	app := text(r, "app")
	if err := w.API.RevokeAgreement(ctx, v.Owner(), app); err != nil {
		ask := again{Action: "/wallet/agreements/revoke", Hidden: []field{{"app", app}}}
		return refused(v, r, err, ask, func(problem) page.Answer { return page.Failed(v, r, err) })
	}
	return page.Answer{Redirect: v.Link("/wallet/agreements", "done", "revoked")}
}
