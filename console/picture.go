package console

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"holdfast"
	"holdfast/page"
)

// picture is the fleet as a drawing: sites on an ellipse, carriers as lines between them. Units are those of the SVG.
type picture struct {
	Width, Height int
	Lines         []line
	Nodes         []node
}

type line struct {
	X1, Y1, X2, Y2 float64
	State          string
	Title          string // in words, for those who do not see it
	TextX, TextY   float64
	Text           string // on the line
}

type node struct {
	X, Y       float64
	R          float64
	State      string
	Name, City string
	Self       bool
	Leads      string // numbers of shards
	Rate       string
	StateWord  string
}

const (
	pictureWidth  = 760
	pictureHeight = 440
	nodeRadius    = 58
	strand        = 44 // between the lines of two carriers
)

// draw makes the picture.
func draw(f *fleet, v *page.View) picture {
	pic := picture{Width: pictureWidth, Height: pictureHeight}
	at := map[holdfast.SiteID][2]float64{}
	for i := range f.Sites {
		s := &f.Sites[i]
		x, y := seat(i, len(f.Sites))
		at[s.Site.Site] = [2]float64{x, y}
		n := node{
			X: x, Y: y, R: nodeRadius, State: s.State(), Name: s.Label(), City: s.City, Self: s.Self, Leads: shardList(s.Leads),
			StateWord: v.T("state-" + s.State()),
		}
		if s.Spoke {
			n.Rate = fmt.Sprintf("%.0f/s", s.Rate)
		}
		pic.Nodes = append(pic.Nodes, n)
	}
	strands := map[[2]holdfast.SiteID]int{}
	for _, c := range f.Cables {
		strands[[2]holdfast.SiteID{c.A, c.B}]++
	}
	names := f.names()
	for _, c := range f.Cables {
		pic.Lines = append(pic.Lines, drawCable(&c, at[c.A], at[c.B], strands[[2]holdfast.SiteID{c.A, c.B}], names, v))
	}
	return pic
}

// seat is where the site of a number stands.
func seat(i, n int) (x, y float64) {
	if n == 1 {
		return pictureWidth / 2, pictureHeight / 2
	}
	angle := -math.Pi/2 + 2*math.Pi*float64(i)/float64(n)
	return round(pictureWidth/2 + (pictureWidth/2-nodeRadius-70)*math.Cos(angle)), round(pictureHeight/2 + (pictureHeight/2-nodeRadius-10)*math.Sin(angle))
}

func round(x float64) float64 { return math.Round(x*10) / 10 }

// drawCable draws one carrier beside the others between the same two sites, from the edge of one circle to that of the other.
func drawCable(c *cable, a, b [2]float64, strands int, names map[holdfast.SiteID]string, v *page.View) line {
	dx, dy := b[0]-a[0], b[1]-a[1]
	length := math.Hypot(dx, dy)
	ux, uy := dx/length, dy/length
	aside := (float64(c.Carrier) - float64(strands+1)/2) * strand
	ox, oy := -uy*aside, ux*aside
	// The text stands a third of the way along, so that those of crossing lines do not meet, and those of strands do not either.
	along := length * (0.38 + 0.24*float64(c.Carrier-1)/math.Max(float64(strands-1), 1))
	l := line{
		X1: round(a[0] + ox + ux*nodeRadius), Y1: round(a[1] + oy + uy*nodeRadius),
		X2: round(b[0] + ox - ux*nodeRadius), Y2: round(b[1] + oy - uy*nodeRadius),
		State: c.State, TextX: round(a[0] + ox + ux*along), TextY: round(a[1] + oy + uy*along),
	}
	switch c.State {
	case stateUp, stateWeak:
		l.Text = fmt.Sprintf("%.1f ms", c.RoundTrip)
		if c.Loss >= lossy {
			l.Text = fmt.Sprintf("%.0f %% ✕", c.Loss*100)
		}
	case stateDown:
		l.Text = v.T("cable-cut")
	}
	l.Title = fmt.Sprintf("%s – %s, %s %d: %s", names[c.A], names[c.B], v.T("carrier"), c.Carrier, v.T("cable-"+c.State))
	return l
}

func (f *fleet) names() map[holdfast.SiteID]string {
	names := map[holdfast.SiteID]string{}
	for i := range f.Sites {
		names[f.Sites[i].Site.Site] = f.Sites[i].Label()
	}
	return names
}

// shardList writes numbers of shards as people do: 1–3, 7.
func shardList(ids []holdfast.ShardID) string {
	ids = slices.Sorted(slices.Values(ids))
	var parts []string
	for i := 0; i < len(ids); {
		j := i
		for j+1 < len(ids) && ids[j+1] == ids[j]+1 {
			j++
		}
		if j-i >= 2 {
			parts = append(parts, fmt.Sprintf("%d–%d", ids[i], ids[j]))
		} else {
			for k := i; k <= j; k++ {
				parts = append(parts, fmt.Sprint(ids[k]))
			}
		}
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
