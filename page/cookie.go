package page

import "net/http"

// SetCookie keeps something of an area in the browser, out of the reach of scripts. Like the cookies of the shell it goes to all sites, and where the page
// came by TLS, by TLS alone. It has to be called before the handler returns.
func (s *Shell) SetCookie(v *View, r *http.Request, c http.Cookie) {
	c.Domain, c.HttpOnly, c.Secure = s.domain(r), true, s.secure(r)
	http.SetCookie(v.w, &c)
}
