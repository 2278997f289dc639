package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// mapBody is the page of the shard map; the part that is live is made of it again and again.
type mapBody struct {
	At      time.Time
	Version uint64
	Picture slotPicture
	Shards  []shardNow
	Moves   []moveNow
	More    int // moves that are not listed
	Splits  []splitNow
	Change  *changeNow
	May     bool
	choices
}

// choices are what the forms let one choose from.
type choices struct {
	Q        map[string]string // what the form says; nil: nothing yet
	Sites    []choice
	ShardIDs []holdfast.ShardID
}

// choice is a site.
type choice struct {
	ID   holdfast.SiteID
	Name string
}

// shardNow is a shard, as its leader says if that answers.
type shardNow struct {
	shardRow
	Number  int // of slots
	Replica []replicaNow
}

// replicaNow is what a site has of a shard.
type replicaNow struct {
	Name    string
	Learner bool
	Leads   bool
	Applied uint64 // as the site says itself
	Spoke   bool
	Lag     uint64 // entries that are not on its disk, as the leader says
	State   string
}

type moveNow struct {
	client.SlotMove
	Slots string
}

type splitNow struct {
	client.ShardSplit
	Slots, HomeName string
	Going           bool // it can be given up
}

type changeNow struct {
	client.SiteChange
	SiteName, OldName string
}

const (
	movesShown = 40
	mapEvery   = time.Second
)

// fleetMap is the map as the whole fleet tells it.
type fleetMap struct {
	client.ShardMap
	Sites  []client.Site
	Change *client.SiteChange
	own    map[holdfast.SiteID][]client.Shard // what each site says of its replicas
}

func (m *fleetMap) names() map[holdfast.SiteID]string {
	names := map[holdfast.SiteID]string{}
	for i := range m.Sites {
		names[m.Sites[i].Site] = siteName(&m.Sites[i])
	}
	return names
}

func (m *fleetMap) choices() choices {
	var c choices
	for i := range m.Sites {
		c.Sites = append(c.Sites, choice{m.Sites[i].Site, siteName(&m.Sites[i])})
	}
	for i := range m.Shards {
		c.ShardIDs = append(c.ShardIDs, m.Shards[i].Shard)
	}
	return c
}

// shardMap asks for the map, and every site for its replicas: how far those of others are only their leaders know.
func (p *pages) shardMap(ctx context.Context) (*fleetMap, error) {
	m := fleetMap{own: map[holdfast.SiteID][]client.Shard{}}
	f, err := p.API.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	m.Sites, m.Change = f.Sites, f.Change
	var mu sync.Mutex // guards m.own
	var work sync.WaitGroup
	for i := range m.Sites {
		work.Go(func() {
			c, err := p.Only(m.Sites[i].HTTP)
			if err != nil {
				return
			}
			ctx, cancel := context.WithTimeout(ctx, page.AskOne)
			defer cancel()
			list, err := c.Shards(ctx)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			m.own[m.Sites[i].Site] = list
		})
	}
	m.ShardMap, err = p.API.ShardMap(ctx)
	work.Wait()
	if err != nil {
		return nil, err
	}
	for i := range m.Shards {
		if s := m.replica(m.Shards[i].Leader, m.Shards[i].Shard); s != nil && s.Leader == m.Shards[i].Leader {
			slots := m.Shards[i].Slots
			m.Shards[i] = *s
			m.Shards[i].Slots = slots // all of the page is of one version of the map
		}
	}
	return &m, nil
}

// replica is what a site says of its replica of a shard; nil: nothing.
func (m *fleetMap) replica(at holdfast.SiteID, id holdfast.ShardID) *client.Shard {
	list := m.own[at]
	for i := range list {
		if list[i].Shard == id {
			return &list[i]
		}
	}
	return nil
}

func (p *pages) showShards(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	m, err := p.shardMap(ctx)
	if err != nil {
		return page.Failed(v, r, err)
	}
	return page.Answer{Template: "shards", Body: mapPage(m, v)}
}

func (p *pages) tellShards(ctx context.Context, v *page.View) (string, any, error) {
	m, err := p.shardMap(ctx)
	if err != nil {
		return "", nil, err
	}
	return "shards-now", mapPage(m, v), nil
}

func mapPage(m *fleetMap, v *page.View) *mapBody {
	b := &mapBody{At: v.Now, Version: m.Version, Picture: drawSlots(&m.ShardMap), May: may(v, asOperator), choices: m.choices()}
	names := m.names()
	for i := range m.Shards {
		b.Shards = append(b.Shards, m.shardNow(&m.Shards[i], names))
	}
	for _, x := range m.Moves[:min(len(m.Moves), movesShown)] {
		b.Moves = append(b.Moves, moveNow{x, x.Slots.String()})
	}
	b.More = len(m.Moves) - len(b.Moves)
	for _, x := range m.Splits {
		b.Splits = append(b.Splits, splitNow{x, slotsText(x.Slots), names[x.Home], !x.Over() && x.State != "stays"})
	}
	slices.Reverse(b.Splits) // the latest first
	if m.Change != nil {
		name := func(id holdfast.SiteID) string { return cmp.Or(names[id], fmt.Sprint(id)) }
		b.Change = &changeNow{*m.Change, name(m.Change.Site), name(m.Change.Old)}
	}
	return b
}

func (m *fleetMap) shardNow(s *client.Shard, names map[holdfast.SiteID]string) shardNow {
	n := shardNow{shardRow: shardRowOf(s, names)}
	for _, r := range s.Slots {
		n.Number += int(r.To-r.From) + 1
	}
	for _, x := range s.Members {
		c := replicaNow{Name: cmp.Or(names[x.Site], fmt.Sprint(x.Site)), Learner: x.Learner, Leads: x.Site == s.Leader, Lag: x.Lag, State: stateUnknown}
		if own := m.replica(x.Site, s.Shard); own != nil {
			c.Spoke, c.Applied, c.State = true, own.Applied, stateUp
			if !own.InService || !own.DigestOK || x.Lag > behindFrom {
				c.State = stateWeak
			}
		}
		n.Replica = append(n.Replica, c)
	}
	return n
}

// slotPicture is the map as a drawing: ten rows of a hundred slots, each with a bar for the slots of one shard that stand side by side. Units are
// those of the SVG.
type slotPicture struct {
	Width, Height, RowHeight int
	Rows                     []slotRow
	Legend                   []slotKey
}

type slotRow struct {
	Label string
	Y     int // of the middle
	Top   int
	Bars  []slotBar
}

type slotBar struct {
	X, W    int
	Shard   holdfast.ShardID
	Colour  int // 1 to 7
	Pattern int // 0 to 3; 0: none
	Said    bool
	Middle  int
	To      holdfast.ShardID // where it is going; 0: it stays
}

// slotKey is a shard in the legend, with its slots in words.
type slotKey struct {
	Shard           holdfast.ShardID
	Colour, Pattern int
	Slots           string
}

const (
	slotWidth    = 4
	slotsInRow   = 100
	slotLabel    = 76
	slotRowTall  = 26
	slotRowGap   = 4
	saidFrom     = 8 // slots that a bar needs to have its number in it
	colourCount  = 7
	patternCount = 4
)

// drawSlots makes the picture. Slots that nobody has (that no site knows about) are left blank.
func drawSlots(m *client.ShardMap) slotPicture {
	pic := slotPicture{Width: slotLabel + slotsInRow*slotWidth, Height: holdfast.Slots / slotsInRow * slotRowTall, RowHeight: slotRowTall - slotRowGap}
	var of, to [holdfast.Slots]holdfast.ShardID
	mark := map[holdfast.ShardID][2]int{}
	shards := slices.Clone(m.Shards)
	slices.SortFunc(shards, func(a, b client.Shard) int { return cmp.Compare(a.Shard, b.Shard) })
	for i := range shards {
		s := &shards[i]
		mark[s.Shard] = [2]int{i%colourCount + 1, (i + i/colourCount) % patternCount}
		for _, r := range s.Slots {
			for n := r.From; n <= r.To && n < holdfast.Slots; n++ {
				of[n] = s.Shard
			}
		}
		if len(s.Slots) > 0 {
			pic.Legend = append(pic.Legend, slotKey{s.Shard, mark[s.Shard][0], mark[s.Shard][1], slotsText(s.Slots)})
		}
	}
	for _, x := range m.Moves {
		for n := x.Slots.From; n <= x.Slots.To && n < holdfast.Slots; n++ {
			to[n] = x.To
		}
	}
	for first := 0; first < holdfast.Slots; first += slotsInRow {
		top := first / slotsInRow * slotRowTall
		row := slotRow{Label: fmt.Sprintf("%d–%d", first, first+slotsInRow-1), Top: top, Y: top + (slotRowTall-slotRowGap)/2}
		for n := first; n < first+slotsInRow; {
			last := n
			for last+1 < first+slotsInRow && of[last+1] == of[n] && to[last+1] == to[n] {
				last++
			}
			if of[n] != 0 {
				x, w := slotLabel+(n-first)*slotWidth, (last-n+1)*slotWidth
				row.Bars = append(row.Bars, slotBar{
					X: x, W: w, Shard: of[n], Colour: mark[of[n]][0], Pattern: mark[of[n]][1], Said: last-n+1 >= saidFrom, Middle: x + w/2, To: to[n],
				})
			}
			n = last + 1
		}
		pic.Rows = append(pic.Rows, row)
	}
	return pic
}

// slotsText writes "7, 300–349".
func slotsText(list []client.SlotRange) string {
	all := make([]string, len(list))
	for i, r := range list {
		if all[i] = fmt.Sprint(r.From); r.To != r.From {
			all[i] = fmt.Sprintf("%d–%d", r.From, r.To)
		}
	}
	return strings.Join(all, ", ")
}

// slotsField writes "7,300-349", as readSlots reads it.
func slotsField(list []client.SlotRange) string {
	all := make([]string, len(list))
	for i, r := range list {
		all[i] = r.String()
	}
	return strings.Join(all, ",")
}

// readSlots reads slots as people write them: "7, 300-349", with the commas and dashes of either language.
func readSlots(text string) (list []client.SlotRange, ok bool) {
	text = strings.NewReplacer("，", ",", "、", ",", "–", "-", "—", "-", "－", "-", " ", "").Replace(text)
	for part := range strings.SplitSeq(text, ",") {
		first, last, several := strings.Cut(part, "-")
		if !several {
			last = first
		}
		from, wrong := strconv.ParseUint(first, 10, 16)
		to, bad := strconv.ParseUint(last, 10, 16)
		if wrong != nil || bad != nil || from > to || to >= holdfast.Slots || len(list) >= holdfast.Slots {
			return nil, false
		}
		list = append(list, client.SlotRange{From: holdfast.Slot(from), To: holdfast.Slot(to)})
	}
	return list, true
}

// changeKinds are the changes of sites, in the order of the page.
var changeKinds = []string{"add", "replace", "retire", "promote", "demote"}

// Kinds are the changes of sites.
func (choices) Kinds() []string { return changeKinds }
