package alipay

import "time"

const (
	dayClock   = "2006-01-02"
	monthClock = "2006-01"
)

// readBill reads a day or a month that is over. How far back bills go is for the desk to know.
func readBill(f *fields) BillURLRequest {
	r := BillURLRequest{
		Type:        f.needOneOf("bill_type", "trade", "signcustomer", "merchant_act", "trade_zft_merchant", "zft_acc"),
		SubMerchant: f.text("smid", 64),
	}
	text := f.need("bill_date", 10)
	layout, end := dayClock, func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }
	if r.Monthly = len(text) == len(monthClock); r.Monthly {
		layout, end = monthClock, func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }
	}
	day, err := time.ParseInLocation(layout, text, gmt8)
	switch {
	case err != nil:
		f.fail("bill_date", "has to be a day as yyyy-MM-dd or a month as yyyy-MM")
	case end(day).After(f.now):
		f.refuse("BILL_NOT_EXIST")
	}
	r.Day = day
	return r
}

func writeBill(a *answer, b BillURLAnswer) result {
	a.some("bill_download_url", b.URL)
	if b.Empty {
		a.text("bill_file_code", "EMPTY_DATA_WITH_BILL_FILE")
	}
	return result{}
}

func readOAuthToken(f *fields) (r OAuthTokenRequest) {
	switch f.scalar("grant_type") {
	case "authorization_code":
		if r.Code = f.secret("code", 64); r.Code.IsZero() {
			f.refuse("isv.code-invalid")
		}
	case "refresh_token":
		if r.Refresh = f.secret("refresh_token", 64); r.Refresh.IsZero() {
			f.refuse("isv.refresh-token-invalid")
		}
	default:
		f.refuse("isv.grant-type-invalid")
	}
	return r
}

// writeOAuthToken is the one place where tokens are shown: to whom they belong.
func writeOAuthToken(a *answer, t OAuthTokenAnswer) result {
	a.text("access_token", t.Access.Reveal())
	a.time("auth_start", t.Since)
	a.seconds("expires_in", t.Expires)
	a.seconds("re_expires_in", t.RefreshExpires)
	a.text("refresh_token", t.Refresh.Reveal())
	a.some("user_id", t.UserID)
	a.some("open_id", t.OpenID)
	a.some("union_id", t.UnionID)
	return result{}
}

func readUserInfo(f *fields) UserInfoRequest {
	r := UserInfoRequest{Token: f.secret("auth_token", 128)}
	if r.Token.IsZero() {
		f.refuse("aop.invalid-auth-token")
	}
	return r
}

func writeUserInfo(a *answer, u UserInfoAnswer) result {
	a.some("user_id", u.UserID)
	a.some("open_id", u.OpenID)
	a.some("nick_name", u.NickName)
	a.some("avatar", u.Avatar)
	a.some("gender", u.Gender)
	a.some("province", u.Province)
	a.some("city", u.City)
	if u.Certified {
		a.text("is_certified", "T")
	} else {
		a.text("is_certified", "F")
	}
	a.some("user_type", u.UserType)
	a.some("user_status", u.UserStatus)
	return result{}
}
