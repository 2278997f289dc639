package desk

import (
	"context"
	"slices"

	"holdfast/alipay"
	"holdfast/pay"
)

// OAuthToken implements alipay.Customers.
func (d *Desk) OAuthToken(ctx context.Context, who alipay.Caller, r alipay.OAuthTokenRequest) (a alipay.OAuthTokenAnswer, err error) {
	words, ask, text := codeWords, d.cashier.Exchange, r.Code
	if r.Code.IsZero() {
		words, ask, text = refreshWords, d.cashier.Renew, r.Refresh
	}
	t, err := ask(ctx, who.App.ID, text.Reveal(), at(who))
	if err != nil {
		return a, words.tell(err)
	}
	return alipay.OAuthTokenAnswer{
		Access: alipay.NewSecret(t.Access), Refresh: alipay.NewSecret(t.Refresh), Expires: pay.AccessLife, RefreshExpires: pay.RefreshLife,
		Since: clocked(t.Since), UserID: t.Customer.String(), OpenID: d.names.of(who.App.ID, t.Customer),
	}, nil
}

// UserInfo implements alipay.Customers. The platform knows neither names nor pictures of customers, nor has it seen their papers.
func (d *Desk) UserInfo(ctx context.Context, who alipay.Caller, r alipay.UserInfoRequest) (a alipay.UserInfoAnswer, err error) {
	v, err := d.cashier.CheckAccess(ctx, who.App.ID, r.Token.Reveal(), at(who))
	switch {
	case err != nil:
		return a, tokenWords.tell(err)
	case !slices.Contains(v.Scopes, pay.ScopeUser):
		return a, refusal("isv.insufficient-user-permissions")
	}
	return alipay.UserInfoAnswer{UserID: v.Customer.String(), OpenID: d.names.of(who.App.ID, v.Customer), UserType: "2", UserStatus: "Q"}, nil
}

// grantWords are the sub_codes of what is wrong with a code or token.
type grantWords map[pay.Code]string

var (
	codeWords = grantWords{
		pay.GrantUnknown: "isv.code-invalid", pay.GrantExpired: "isv.code-invalid", pay.GrantReplaced: "isv.code-invalid",
		pay.GrantOfOther: "isv.unmatched-app-id",
	}
	refreshWords = grantWords{
		pay.GrantUnknown: "isv.refresh-token-invalid", pay.GrantExpired: "isv.refresh-token-time-out",
		pay.GrantReplaced: "isv.refreshed-token-invalid", pay.GrantOfOther: "isv.unmatched-app-id",
	}
	tokenWords = grantWords{
		pay.GrantUnknown: "aop.invalid-auth-token", pay.GrantExpired: "aop.auth-token-time-out",
		pay.GrantReplaced: "aop.invalid-auth-token", pay.GrantOfOther: "isv.unmatched-app-id",
	}
	mandateWords = grantWords{
		pay.GrantUnknown: "aop.invalid-app-auth-token", pay.GrantExpired: "aop.app-auth-token-time-out",
		pay.GrantReplaced: "aop.invalid-app-auth-token", pay.GrantOfOther: "aop.invalid-app-auth-token",
	}
)

// tell turns a refusal of pay into one of the gateway; any other error stays what it is.
func (w grantWords) tell(err error) error {
	if word, known := w[why(err)]; known {
		return refusal(word)
	}
	return trading.tell(err)
}
