package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"holdfast/guard"
	"holdfast/scancode"
)

const svgType = "image/svg+xml"

func (a *api) pictureRoutes(r *router) {
	const path = "/v1/payment-codes/picture"
	add[pictureIn, jsonOut[string]](r, operation{
		name: "draw-payment-code", method: post, path: path, tag: tagCustomers, summary: "Draw a payment code, for an app that shows one and does not draw",
		text: "An SVG of the QR code or of the Code 128 bar code, with the empty border that scanners need, on white. Show it large, and with the digits. Nothing " +
			"is looked up: whether the code pays is told when it does. It is a POST so that no code stands in a URL; it changes nothing, and an " +
			"Idempotency-Key is not needed.",
		action: guard.ReadMoney, handle: postPicture,
	})
	r.doc.OpenAPI().Paths[path].Post.Responses["200"].Content = map[string]*huma.MediaType{svgType: {Schema: &huma.Schema{Type: huma.TypeString}}}
}

type pictureIn struct {
	DeadlineIn
	Body pictureBody
}

type pictureBody struct {
	Code string `json:"code" doc:"18 digits, the first two 28" example:"280000000212345678"`
	As   string `json:"as,omitempty" enum:"qr,bar" doc:"qr if left out"`
}

var pictureMembers = []string{"code", "as"}

// paymentCodeDigits is how many digits a payment code has.
const paymentCodeDigits = 18

func postPicture(_ context.Context, x *exchange) error {
	var q pictureBody
	err := x.object(pictureMembers, func(s *scanner, name string) {
		switch name {
		case "code":
			q.Code = s.words()
		case "as":
			q.As = s.words()
		}
	})
	if err != nil {
		return err
	}
	if !paymentCode(q.Code) {
		return edgeMalformed.field("code", "this is no payment code: send the 18 digits that the phone shows, the first two are 28")
	}
	draw := scancode.QR
	switch q.As {
	case "", "qr":
	case "bar":
		draw = scancode.Bars
	default:
		return edgeMalformed.field("as", "a code is drawn as qr or as bar")
	}
	c, err := draw(q.Code)
	if err != nil {
		return err
	}
	x.w.Header()["Cache-Control"] = []string{"no-store"}
	x.out = append(x.out, c.SVG()...)
	return x.sendRaw(http.StatusOK, svgType)
}

func paymentCode(s string) bool {
	ok := len(s) == paymentCodeDigits && s[:2] == "28"
	for i := range len(s) {
		ok = ok && s[i] >= '0' && s[i] <= '9'
	}
	return ok
}
