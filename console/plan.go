package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"holdfast"
	"holdfast/client"
	"holdfast/page"
)

// planBody is a change of the shard map or of the sites: what somebody wants, what it would do, and the button that orders it.
type planBody struct {
	Kind    string // move, split, sites
	Change  string // of sites: add, replace, retire, promote, demote
	Planned bool
	Plan    string // its id
	Said    string // what will be done, in words
	Facts   []fact
	Needs   []needRow
	Steps   []stepRow
	Shards  []client.PlannedShard
	Loads   []client.PlannedLoad
	Copies  bool // the loads say what each site would store
	Notes   []string
	Hidden  []field
	Problem *refusal
	Stale   bool // this is a new plan: another one was to be applied
	May     bool
	choices
}

// needRow is what payments need before, meanwhile or after.
type needRow struct {
	When     string // key of words
	Strength strength
}

// stepRow is one step of a change of sites.
type stepRow struct {
	Shard         holdfast.ShardID
	Text          string
	Copy          uint64
	During, After strength
}

// strength is who has to store a payment, and what the fleet can lose, with names.
type strength struct {
	Voters   string
	Outgoing string // whose majority is needed as well; "": nobody's
	Majority int
	Survives string
	Stops    string
}

func strengthOf(s *client.Strength, names map[holdfast.SiteID]string) strength {
	list := func(ids []holdfast.SiteID) string {
		all := make([]string, len(ids))
		for i, id := range ids {
			all[i] = cmp.Or(names[id], fmt.Sprint(id))
		}
		return strings.Join(all, ", ")
	}
	return strength{list(s.Voters), list(s.Outgoing), s.Majority, strings.Join(s.Survives, ", "), strings.Join(s.Stops, ", ")}
}

// order is a change that can be planned and then ordered.
type order interface {
	// read reads the form. Not ready: there is nothing to plan yet. The problem is a key of words.
	read(q url.Values) (ready bool, problem string)
	// plan asks what it would do, and puts the answer into the page.
	plan(ctx context.Context, api *client.Client, b *planBody, v *page.View, names map[holdfast.SiteID]string) error
	apply(ctx context.Context, api *client.Client, plan string) error
	fields() []string
}

func newOrder(kind string) order {
	switch kind {
	case "move":
		return &moveOrder{}
	case "split":
		return &splitOrder{}
	}
	return &sitesOrder{}
}

// showPlan shows the form of an order, and what it would do as soon as the form says enough. Planning changes nothing.
func (p *pages) showPlan(kind string) page.Handler {
	return func(ctx context.Context, v *page.View, r *http.Request) page.Answer {
		return p.planned(ctx, v, r, kind, r.URL.Query(), nil, http.StatusOK)
	}
}

// applyPlan orders what a plan has shown.
func (p *pages) applyPlan(kind string) page.Handler {
	return func(ctx context.Context, v *page.View, r *http.Request) page.Answer {
		q, err := form(r)
		if err != nil {
			return page.FormFailed(err)
		}
		o := newOrder(kind)
		if ready, problem := o.read(q); !ready || q.Get("plan") == "" {
			return p.planned(ctx, v, r, kind, q, &refusal{Text: v.T(cmp.Or(problem, "plan-first"))}, http.StatusUnprocessableEntity)
		}
		err = p.act(ctx, func(ctx context.Context) error { return o.apply(ctx, p.API, q.Get("plan")) })
		if err == nil {
			return page.Answer{Redirect: v.Link("/console/shards", "done", "ordered")}
		}
		why, status := notDone(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		a := p.planned(ctx, v, r, kind, q, why, status)
		if a.Template != "plan" { // how things are cannot be asked just now, but what became of the order has to be said
			a = page.Answer{Status: status, Template: "plan", Body: &planBody{Kind: kind, Problem: why}, Title: v.T("title-plan-" + kind)}
		}
		if b, ok := a.Body.(*planBody); ok {
			if e, refused := errors.AsType[*client.Error](err); refused && e.Code == "plan-stale" {
				b.Stale = b.Planned
			} else if status == http.StatusGatewayTimeout && b.Planned {
				b.Plan = q.Get("plan") // that plan may be ordered already: ordering it again is done, another one is another order
			}
		}
		a.Err = err
		return a
	}
}

func (p *pages) planned(ctx context.Context, v *page.View, r *http.Request, kind string, q url.Values, why *refusal, status int) page.Answer {
	m, err := p.shardMap(ctx)
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := &planBody{Kind: kind, Problem: why, May: may(v, asOperator), choices: m.choices()}
	b.Q = map[string]string{}
	o := newOrder(kind)
	for _, name := range o.fields() {
		b.Q[name] = q.Get(name)
	}
	if b.Change = b.Q["kind"]; kind == "sites" && b.Change == "" {
		b.Change, b.Q["kind"] = "add", "add"
	}
	answer := page.Answer{Status: status, Template: "plan", Body: b, Title: v.T("title-plan-" + kind)}
	ready, problem := o.read(q)
	switch {
	case problem != "":
		if answer.Status = http.StatusUnprocessableEntity; b.Problem == nil {
			b.Problem = &refusal{Text: v.T(problem)}
		}
		return answer
	case !ready:
		return answer
	}
	if err := o.plan(ctx, p.API, b, v, m.names()); err != nil {
		no, status := sayable(v, err)
		if no == nil {
			return page.Failed(v, r, err)
		}
		if b.Problem == nil {
			b.Problem, answer.Status = no, status
		}
		return answer
	}
	b.Planned = true
	return answer
}

// moveOrder moves slots to another shard.
type moveOrder struct{ q client.SlotRequest }

func (o *moveOrder) fields() []string { return []string{"slots", "to"} }

func (o *moveOrder) read(q url.Values) (ready bool, problem string) {
	if q.Get("slots") == "" && q.Get("to") == "" {
		return false, ""
	}
	slots, ok := readSlots(q.Get("slots"))
	if !ok {
		return false, "slots-wrong"
	}
	to, err := strconv.ParseUint(q.Get("to"), 10, 16)
	if err != nil || to == 0 {
		return false, "shard-wrong"
	}
	o.q = client.SlotRequest{Slots: slots, To: holdfast.ShardID(to)}
	return true, ""
}

func (o *moveOrder) plan(ctx context.Context, api *client.Client, b *planBody, v *page.View, names map[holdfast.SiteID]string) error {
	p, err := api.PlanSlots(ctx, o.q)
	if err != nil {
		return err
	}
	b.Said = v.Tf("plan-move-said", slotsText(p.Slots), p.From, p.To)
	b.slots(&p, v, names)
	b.Hidden = []field{{"slots", slotsField(o.q.Slots)}, {"to", fmt.Sprint(o.q.To)}}
	return nil
}

func (o *moveOrder) apply(ctx context.Context, api *client.Client, plan string) error {
	return api.ApplySlots(ctx, o.q, plan)
}

// slots puts in what moves and splits have in common.
func (b *planBody) slots(p *client.SlotPlan, v *page.View, names map[holdfast.SiteID]string) {
	b.Plan, b.Shards, b.Notes = p.Plan, p.Shards, p.Notes
	b.Facts = append(b.Facts,
		fact{Name: "plan-accounts", Value: v.Tf("plan-accounts-said", p.Accounts, p.Holds)},
		fact{Name: "plan-copying", Value: v.Tf("plan-copying-said", duration(v, p.Copying))},
		fact{Name: "plan-pause", Value: v.Tf("plan-pause-said", duration(v, p.Pause), duration(v, p.Worst))},
	)
	for _, n := range []struct {
		when string
		s    *client.Strength
	}{{"before", &p.Before}, {"during", &p.During}, {"after", &p.After}} {
		b.Needs = append(b.Needs, needRow{n.when, strengthOf(n.s, names)})
	}
}

// duration writes milliseconds as people read them: 20 ms, 1.5 s, 12 min.
func duration(v *page.View, ms float64) string {
	switch {
	case ms < 1000:
		return fmt.Sprintf("%.0f %s", ms, v.T("ms"))
	case ms < 100_000:
		return fmt.Sprintf("%.1f %s", ms/1000, v.T("unit-s"))
	}
	return fmt.Sprintf("%.0f %s", ms/60_000, v.T("unit-min"))
}

// splitOrder lets a shard be born, and gives it slots of another.
type splitOrder struct {
	shard holdfast.ShardID
	q     client.SplitRequest
}

func (o *splitOrder) fields() []string { return []string{"shard", "slots", "home"} }

func (o *splitOrder) read(q url.Values) (ready bool, problem string) {
	if q.Get("shard") == "" {
		return false, ""
	}
	shard, err := strconv.ParseUint(q.Get("shard"), 10, 16)
	if err != nil || shard == 0 {
		return false, "shard-wrong"
	}
	o.shard = holdfast.ShardID(shard)
	if text := q.Get("slots"); strings.TrimSpace(text) != "" {
		slots, ok := readSlots(text)
		if !ok {
			return false, "slots-wrong"
		}
		o.q.Slots = slots
	}
	if text := q.Get("home"); text != "" {
		home, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return false, "site-wrong"
		}
		o.q.Home = holdfast.SiteID(home)
	}
	return true, ""
}

func (o *splitOrder) plan(ctx context.Context, api *client.Client, b *planBody, v *page.View, names map[holdfast.SiteID]string) error {
	p, err := api.PlanSplit(ctx, o.shard, o.q)
	if err != nil {
		return err
	}
	b.Said = v.Tf("plan-split-said", p.To, cmp.Or(p.HomeName, names[p.Home]), slotsText(p.Slots), p.From)
	b.Facts = []fact{
		{Name: "plan-founders", Value: strengthOf(&client.Strength{Voters: p.Founders}, names).Voters},
		{Name: "plan-share", Value: v.Tf("plan-share-said", 100*p.Share)},
	}
	b.slots(&p.SlotPlan, v, names)
	b.Facts = append(b.Facts, fact{Name: "plan-takes", Value: v.Tf("plan-takes-said", duration(v, p.Birth), duration(v, p.Takes))})
	b.Loads = p.Loads
	b.Hidden = []field{{"shard", fmt.Sprint(o.shard)}, {"slots", slotsField(p.Slots)}}
	if o.q.Home != 0 {
		b.Hidden = append(b.Hidden, field{"home", fmt.Sprint(o.q.Home)})
	}
	return nil
}

func (o *splitOrder) apply(ctx context.Context, api *client.Client, plan string) error {
	return api.ApplySplit(ctx, o.shard, o.q, plan)
}

// sitesOrder changes the list of sites.
type sitesOrder struct{ q client.SiteRequest }

func (o *sitesOrder) fields() []string {
	return []string{"kind", "site", "old", "name", "city", "http", "addresses", "learner"}
}

func (o *sitesOrder) read(q url.Values) (ready bool, problem string) {
	number := func(name string) holdfast.SiteID {
		n, err := strconv.ParseUint(q.Get(name), 10, 16)
		if err != nil {
			return 0
		}
		return holdfast.SiteID(n)
	}
	if q.Get("site") == "" {
		return false, ""
	}
	o.q = client.SiteRequest{Kind: q.Get("kind"), Site: number("site")}
	if o.q.Site == 0 {
		return false, "site-wrong"
	}
	switch o.q.Kind {
	case "retire", "promote", "demote":
		return true, ""
	case "replace":
		if o.q.Old = number("old"); o.q.Old == 0 {
			return false, "old-wrong"
		}
	case "add":
		o.q.Learner = q.Get("learner") == "yes"
	default:
		return false, "change-wrong"
	}
	o.q.Name, o.q.City, o.q.HTTP = strings.TrimSpace(q.Get("name")), strings.TrimSpace(q.Get("city")), strings.TrimSpace(q.Get("http"))
	for line := range strings.Lines(q.Get("addresses")) {
		if line = strings.TrimSpace(line); line != "" {
			o.q.Addresses = append(o.q.Addresses, line)
		}
	}
	if o.q.Name == "" || len(o.q.Addresses) == 0 {
		return false, "newcomer-wrong"
	}
	return true, ""
}

func (o *sitesOrder) plan(ctx context.Context, api *client.Client, b *planBody, v *page.View, names map[holdfast.SiteID]string) error {
	p, err := api.PlanSites(ctx, o.q)
	if err != nil {
		return err
	}
	name := func(id holdfast.SiteID) string { return cmp.Or(names[id], fmt.Sprint(id)) }
	if names[o.q.Site] == "" {
		names[o.q.Site] = o.q.Name
	}
	b.Plan, b.Notes, b.Loads, b.Copies = p.Plan, p.Notes, p.Loads, true
	b.Said = v.Tf("plan-"+o.q.Kind+"-said", name(o.q.Site))
	if o.q.Kind == "replace" {
		b.Said = v.Tf("plan-replace-said", name(o.q.Old), name(o.q.Site))
	}
	if p.Copy > 0 {
		b.Facts = append(b.Facts, fact{Name: "plan-copy", Value: v.Bytes(p.Copy)})
	}
	b.Needs = []needRow{{"before", strengthOf(&p.Before, names)}, {"after", strengthOf(&p.After, names)}}
	for i := range p.Steps {
		s := &p.Steps[i]
		b.Steps = append(b.Steps, stepRow{s.Shard, s.Text, s.Copy, strengthOf(&s.During, names), strengthOf(&s.After, names)})
	}
	for _, f := range o.fields() {
		if b.Q[f] != "" {
			b.Hidden = append(b.Hidden, field{f, b.Q[f]})
		}
	}
	return nil
}

func (o *sitesOrder) apply(ctx context.Context, api *client.Client, plan string) error {
	return api.ApplySites(ctx, o.q, plan)
}

// askLeader shows what handing a shard over would do.
func (p *pages) askLeader(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q := r.URL.Query()
	return p.leaderQuestion(ctx, v, r, q, nil, http.StatusOK)
}

func (p *pages) leaderQuestion(ctx context.Context, v *page.View, r *http.Request, q url.Values, why *refusal, status int) page.Answer {
	m, err := p.shardMap(ctx)
	if err != nil {
		return page.Failed(v, r, err)
	}
	s, to, problem := m.leaderOrder(q)
	if problem != "" {
		return page.Answer{Status: http.StatusUnprocessableEntity, Template: "ask", Title: v.T("ask-leader"), Body: question{
			Ask: "leader", Back: "/console/shards", Problem: &refusal{Text: v.T(problem)},
		}}
	}
	names := m.names()
	b := question{
		Ask: "leader", Back: "/console/shards", Problem: why, May: may(v, asOperator),
		Fields: []field{{"shard", fmt.Sprint(s.Shard)}, {"to", fmt.Sprint(to.Site)}},
		Facts: []fact{
			{Name: "shard", Value: fmt.Sprint(s.Shard)},
			{Name: "leads-now", Value: cmp.Or(names[s.Leader], v.T("none"))},
			{Name: "leads-then", Value: siteName(to)},
			{Name: "slots", Value: slotsText(s.Slots)},
		},
	}
	state, replica := v.T("not-known"), m.replica(to.Site, s.Shard)
	if replica != nil {
		if state = v.T("replica-whole"); replica.Applied < s.Commit {
			state = v.Tf("replica-behind", s.Commit-replica.Applied)
		}
		if !replica.InService {
			state = v.T("replica-out")
		}
	}
	b.Facts = append(b.Facts, fact{Name: "replica-there", Value: state})
	return b.answer(v, status)
}

// leaderOrder reads which shard is to be led by which site.
func (m *fleetMap) leaderOrder(q url.Values) (s *client.Shard, to *client.Site, problem string) {
	for i := range m.Shards {
		if fmt.Sprint(m.Shards[i].Shard) == q.Get("shard") {
			s = &m.Shards[i]
		}
	}
	for i := range m.Sites {
		if fmt.Sprint(m.Sites[i].Site) == q.Get("to") {
			to = &m.Sites[i]
		}
	}
	switch {
	case s == nil:
		return nil, nil, "shard-wrong"
	case to == nil:
		return nil, nil, "site-wrong"
	}
	return s, to, ""
}

// handOver has a site lead a shard.
func (p *pages) handOver(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	shard, bad := strconv.ParseUint(q.Get("shard"), 10, 16)
	to, wrong := strconv.ParseUint(q.Get("to"), 10, 16)
	if bad != nil || wrong != nil {
		return p.leaderQuestion(ctx, v, r, q, nil, http.StatusUnprocessableEntity)
	}
	err = p.act(ctx, func(ctx context.Context) error {
		return p.API.HandOver(ctx, holdfast.ShardID(shard), holdfast.SiteID(to))
	})
	if err != nil {
		why, status := notDone(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		a := p.leaderQuestion(ctx, v, r, q, why, status)
		a.Err = err
		return a
	}
	return page.Answer{Redirect: v.Link("/console/shards", "done", "handed-over")}
}

// askStay shows what giving moves up means.
func (p *pages) askStay(_ context.Context, v *page.View, r *http.Request) page.Answer {
	return stayQuestion(v, r.URL.Query().Get("slots"), nil, http.StatusOK)
}

func stayQuestion(v *page.View, text string, why *refusal, status int) page.Answer {
	slots, ok := readSlots(text)
	if !ok {
		why, status = &refusal{Text: v.T("slots-wrong")}, http.StatusUnprocessableEntity
	}
	return question{
		Ask: "stay", Back: "/console/shards", Problem: why, May: ok && may(v, asOperator), Fields: []field{{"slots", slotsField(slots)}},
		Facts: []fact{{Name: "slots", Value: slotsText(slots)}},
	}.answer(v, status)
}

// stay gives moves up that are not decided.
func (p *pages) stay(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	slots, ok := readSlots(q.Get("slots"))
	if !ok {
		return stayQuestion(v, q.Get("slots"), nil, http.StatusOK)
	}
	var kept client.SlotsKept
	err = p.act(ctx, func(ctx context.Context) (err error) { kept, err = p.API.KeepSlots(ctx, slots); return err })
	if err != nil {
		why, status := notDone(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		a := stayQuestion(v, q.Get("slots"), why, status)
		a.Err = err
		return a
	}
	if len(kept.Failed) > 0 {
		var rest []client.SlotRange
		for _, f := range kept.Failed {
			rest = append(rest, f.Slots...)
		}
		return stayQuestion(v, slotsField(rest), &refusal{v.Tf("stay-some", slotsText(kept.Slots), slotsText(rest)), kept.Failed[0].Detail}, http.StatusGatewayTimeout)
	}
	return page.Answer{Redirect: v.Link("/console/shards", "done", "stays")}
}

// askCancel shows what giving a split up means.
func (p *pages) askCancel(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	return p.cancelQuestion(ctx, v, r, r.URL.Query().Get("shard"), nil, http.StatusOK)
}

func (p *pages) cancelQuestion(ctx context.Context, v *page.View, r *http.Request, shard string, why *refusal, status int) page.Answer {
	m, err := p.API.ShardMap(ctx)
	if err != nil {
		return page.Failed(v, r, err)
	}
	b := question{Ask: "cancel", Back: "/console/shards", Problem: why, Fields: []field{{"shard", shard}}}
	for _, s := range m.Splits {
		if fmt.Sprint(s.From) == shard && !s.Over() {
			b.May = may(v, asOperator)
			b.Facts = []fact{
				{Name: "shard", Value: fmt.Sprintf("%d → %d", s.From, s.To)},
				{Name: "slots", Value: slotsText(s.Slots)},
				{Name: "moved", Value: v.Tf("moved-of", s.Moved, s.Of)},
			}
		}
	}
	if b.Facts == nil && why == nil {
		b.Problem, status = &refusal{Text: v.T("cancel-none")}, http.StatusConflict
	}
	return b.answer(v, status)
}

// cancelSplit gives a split up, as far as that is possible still.
func (p *pages) cancelSplit(ctx context.Context, v *page.View, r *http.Request) page.Answer {
	q, err := form(r)
	if err != nil {
		return page.FormFailed(err)
	}
	shard, err := strconv.ParseUint(q.Get("shard"), 10, 16)
	if err != nil {
		return p.cancelQuestion(ctx, v, r, q.Get("shard"), nil, http.StatusOK)
	}
	err = p.act(ctx, func(ctx context.Context) error { _, err := p.API.CancelSplit(ctx, holdfast.ShardID(shard)); return err })
	if err != nil {
		why, status := notDone(v, err)
		if why == nil {
			return page.Failed(v, r, err)
		}
		a := p.cancelQuestion(ctx, v, r, q.Get("shard"), why, status)
		a.Err = err
		return a
	}
	return page.Answer{Redirect: v.Link("/console/shards", "done", "cancelled")}
}
