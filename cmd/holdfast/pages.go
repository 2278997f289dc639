package main

import (
	"log/slog"
	"net/http"
	"strings"

	"holdfast/client"
	"holdfast/console"
	"holdfast/page"
	"holdfast/site"
)

// pages are what people look at.
type pages struct {
	*page.Server
	client *client.Client
}

// newPages makes the pages. They ask the API of this site as any client does, over the loopback, and others when it has no answer; api is the
// same API, for signing in.
func newPages(cfg *site.Config, s *site.Site, api http.Handler, log *slog.Logger) (*pages, error) {
	own := localURL(cfg.HTTP.Listen)
	sites := []string{own}
	for _, p := range cfg.Peers {
		if p.HTTP != "" && p.HTTP != own {
			sites = append(sites, p.HTTP)
		}
	}
	c, err := client.New(client.Config{Sites: sites, Hasty: true, Idle: 16})
	if err != nil {
		return nil, err
	}
	h, err := page.New(page.Config{
		API: c, Direct: api, Places: func() []page.Place { return placesOf(cfg, s) }, Logger: log,
		Areas: []page.Area{console.Area()},
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

// placesOf are the sites as browsers reach them: where the list of sites says that their API is.
func placesOf(cfg *site.Config, s *site.Site) []page.Place {
	own := page.Place{Name: cfg.Name, URL: localURL(cfg.HTTP.Listen), Self: true}
	list := []page.Place{}
	for _, r := range s.Roster().Sites {
		if r.HTTP == "" {
			continue
		}
		list = append(list, page.Place{Name: r.Name, URL: strings.TrimSuffix(r.HTTP, "/"), Self: r.Site == cfg.Site})
	}
	for i := range list {
		if list[i].Self {
			return list
		}
	}
	return append(list, own)
}
