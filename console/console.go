package console

import (
	"embed"
	"io/fs"
	"maps"
	"time"

	"holdfast/page"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// liveEvery is how often the picture of the fleet is made anew.
const liveEvery = time.Second

// Area is the pages of operators, below /console.
func Area() page.Area {
	return page.Area{
		Name: "console", As: "operator",
		Menu: []page.Item{
			{Path: "/console", Word: "nav-fleet"},
			{Path: "/console/what-if", Word: "nav-what-if"},
			{Path: "/console/journal", Word: "nav-journal"},
			{Path: "/console/search", Word: "nav-search"},
			{Path: "/console/shards", Word: "nav-shards"},
			{Path: "/console/money", Word: "nav-banks"},
			{Path: "/console/people", Word: "nav-people"},
			{Path: "/console/drills", Word: "nav-drills"},
		},
		Templates: below(templateFiles, "templates"), Static: below(staticFiles, "static"), Styles: []string{"console.css", "ops.css"},
		Words: joined(words, moreWords, drillWords), Routes: routes,
	}
}

// joined is all words of several tables.
func joined(tables ...page.Words) page.Words {
	all := page.Words{}
	for _, t := range tables {
		maps.Copy(all, t)
	}
	return all
}

// below is a directory of embedded files.
func below(files embed.FS, dir string) fs.FS {
	sub, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // it is embedded
	}
	return sub
}

// pages are the pages of operators.
type pages struct{ *page.Shell }

func routes(s *page.Shell) {
	p := &pages{s}
	s.Page("GET /console", p.showFleet)
	s.Live("GET /console/live", "fleet", liveEvery, p.tellFleet)
	s.Page("GET /console/trend", p.showTrend)
	s.Page("GET /console/what-if", p.showWhatIf)
	s.Page("GET /console/journal", p.showJournal)
	s.Page("GET /console/transfers/{id}", p.showTransfer)
	s.Page("GET /console/transactions/{id}", p.showTransaction)
	s.Page("GET /console/accounts/{id}", p.showAccount)
	p.moreRoutes(s)
	p.drillRoutes()
}
