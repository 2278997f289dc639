package main

import (
	"slices"
	"testing"

	"holdfast/page"
	"holdfast/site"
)

// Where browsers go on is where the configuration says that pages are; the addresses of the API count only where it says nothing.
func TestPlacesOfBrowsers(t *testing.T) {
	cfg := site.Embedded("d", "10.0.0.1:8080")
	cfg.Name = "hangzhou"
	listed := &site.Roster{Sites: []site.ListedSite{
		{Site: 1, Name: "hangzhou"}, {Site: 2, Name: "shanghai", HTTP: "http://10.0.0.2:8080/"}, {Site: 3, Name: "shenzhen", HTTP: "http://10.0.0.3:8080"},
	}}
	for _, row := range []struct {
		sites map[string]string
		want  []page.Place
	}{
		{nil, []page.Place{
			{Name: "shanghai", URL: "http://10.0.0.2:8080"}, {Name: "shenzhen", URL: "http://10.0.0.3:8080"}, {Name: "hangzhou", URL: "http://10.0.0.1:8080", Self: true},
		}},
		{map[string]string{"hangzhou": "https://hangzhou.pay.example", "shanghai": "https://shanghai.pay.example", "gone": "https://gone.pay.example"}, []page.Place{
			{Name: "hangzhou", URL: "https://hangzhou.pay.example", Self: true}, {Name: "shanghai", URL: "https://shanghai.pay.example"},
		}},
	} {
		cfg.Console.Sites = row.sites
		if got := placesOf(&cfg, listed); !slices.Equal(got, row.want) {
			t.Errorf("%v: %v, want %v", row.sites, got, row.want)
		}
	}
}
