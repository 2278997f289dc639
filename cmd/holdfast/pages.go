package main

import (
	"log/slog"
	"net/http"
	"strings"

	"holdfast/client"
	"holdfast/console"
	"holdfast/httpapi"
	"holdfast/page"
	"holdfast/portal"
	"holdfast/site"
	"holdfast/wallet"
)

// pages are what people look at.
type pages struct {
	*page.Server
	client *client.Client
}

// newPages makes the pages. They ask the API of this site as any client does, over the loopback, and others when it has no answer; api is the
// same API, for signing in.
func newPages(cfg *site.Config, s *site.Site, api http.Handler, log *slog.Logger) (*pages, error) {
	c, err := client.New(client.Config{Sites: apiSites(cfg), Hasty: true, Idle: 16})
	if err != nil {
		return nil, err
	}
	h, err := page.New(page.Config{
		API: c, Direct: api, Places: func() []page.Place { return placesOf(cfg, s) }, Logger: log,
		Domain: cfg.Console.CookieDomain, ByTLS: httpapi.ByTLS,
		Areas: []page.Area{console.Area(), portal.Area(), wallet.Area()},
	})
	return &pages{h, c}, err
}

// over serves the pages, and leaves everything else to the API.
func (p *pages) over(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.Serves(r.URL.Path) {
			p.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

func (p *pages) close() {
	p.Close()
	p.client.Close()
}

// placesOf are the sites as browsers reach them: as the configuration says, or else where the list of sites says that their API is.
func placesOf(cfg *site.Config, s *site.Site) []page.Place {
	own := page.Place{Name: cfg.Name, URL: localURL(cfg.HTTP.Listen), Self: true}
	list := []page.Place{}
	for _, r := range s.Roster().Sites {
		address := strings.TrimSuffix(r.HTTP, "/")
		if len(cfg.Console.Sites) > 0 { // all of them or none: an API without TLS is no place for a page that has it
			address = cfg.Console.Sites[r.Name]
		}
		if address != "" {
			list = append(list, page.Place{Name: r.Name, URL: address, Self: r.Site == cfg.Site})
		}
	}
	for i := range list {
		if list[i].Self {
			return list
		}
	}
	return append(list, own)
}
