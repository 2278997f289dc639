package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"holdfast"
	"holdfast/drill"
)

// view shows a drill while it goes on: a picture that is drawn anew ten times a second on a terminal, plain lines on a pipe.
type view struct {
	w     io.Writer
	paint paint
	live  bool
	size  func() (columns, rows int) // of the terminal

	mu     sync.Mutex
	drawn  int // lines of the picture that is on the screen
	on     struct{ columns, rows int }
	second time.Duration
	told   []bool // of each fault that has begun: that it is over
	frame  int
	closed bool
}

func newView(w io.Writer) *view {
	v := &view{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		v.live, v.paint, v.size = true, paint(os.Getenv("NO_COLOR") == ""), sizeOf(f)
		fmt.Fprint(w, hideCursor)
	}
	return v
}

// close leaves the last picture on the screen. It may be called again.
func (v *view) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.closed && v.live {
		fmt.Fprint(v.w, showCursor+"\n")
	}
	v.closed = true
}

// aside says something above the picture, which goes on below it.
func (v *view) aside(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.drawn = 0
	_, _ = io.WriteString(v.w, text)
}

func (v *view) show(s *drill.Snapshot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closed:
	case v.live:
		v.draw(s)
	default:
		v.tell(s)
	}
}

// draw writes the picture over the one before, in one write: a terminal that draws half a picture flickers. No line reaches the last
// cell: one that did would be wrapped by some terminals, or its end be cleared, and the next picture would begin in the wrong row.
func (v *view) draw(s *drill.Snapshot) {
	v.frame++
	columns, rows := v.size()
	room := columns - 1
	lines := squeeze(v.picture(s, room), rows-1) // the cursor stands below the picture
	b := strings.Builder{}
	b.WriteString(wrapOff)
	was := v.on
	v.on.columns, v.on.rows = columns, rows
	switch {
	case v.drawn > 0 && was != v.on:
		b.WriteString(clearScreen) // the terminal has moved what was there, each in its own way
	case v.drawn > 0:
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	for _, l := range lines {
		b.WriteString("\r" + cut(l, room) + clearLine + "\n")
	}
	b.WriteString(clearBelow + wrapOn)
	v.drawn = len(lines)
	_, _ = io.WriteString(v.w, b.String()) // a terminal that is gone must not end the drill
}

// picture draws what there is to see in lines of so many cells. Where there is not room for all, less is said; what is too long all
// the same is cut by whoever draws it.
func (v *view) picture(s *drill.Snapshot, room int) []string {
	lines := []string{"", v.heading(s, room), ""}
	for i := range s.Sites {
		lines = append(lines, v.siteLine(s, i, room))
	}
	if len(s.Carriers) > 1 {
		lines = append(lines, "", v.carriers(s, room))
	}
	return append(lines, "",
		v.rates(s, room),
		v.answered(s, room),
		"",
		v.counts(s, room),
		"",
		v.banner(s, room),
		v.elsewhere(s, room),
		"")
}

const (
	sparkWidth    = 60
	progressWidth = 30
	progressLeast = 5 // a shorter bar says nothing
)

func (v *view) heading(s *drill.Snapshot, room int) string {
	p := v.paint
	name := "  " + p.bold("HOLDFAST") + p.dim("  "+s.Scenario) + "   "
	time := p.dim(fmt.Sprintf("%4.1f of %.0f s", s.Elapsed.Seconds(), s.Length.Seconds()))
	width := min(progressWidth, room-cellsOf(name)-cellsOf(time)-1)
	if width < progressLeast {
		return name + time
	}
	share := 0.0
	if s.Length > 0 {
		share = min(1, float64(s.Elapsed)/float64(s.Length))
	}
	full := int(share * float64(width))
	return name + p.green(strings.Repeat("━", full)) + p.dim(strings.Repeat("─", width-full)) + " " + time
}

// siteLine is one site: its name, its part in the play, and its cables to the others.
func (v *view) siteLine(s *drill.Snapshot, i, room int) string {
	p, x := v.paint, &s.Sites[i]
	mark, part := p.green("●"), fmt.Sprintf("%-14s", "follows")
	switch {
	case x.Damage != drill.Whole:
		mark, part = p.red("✖"), p.red(fmt.Sprintf("%-14s", x.Damage))
	case x.Leads > 0:
		mark, part = p.yellow("★"), p.yellow(fmt.Sprintf("%-14s", leads(s, x)))
	case !s.Running && s.Elapsed == 0:
		mark, part = p.dim("○"), p.dim(fmt.Sprintf("%-14s", "starting"))
	}
	head := fmt.Sprintf("  %s %-11s %s ", mark, x.Name, part)
	return head + v.cables(s, i, room-cellsOf(head))
}

const cableName = 9 // cells of the name behind a cable

// cables shows the cables of a site, drawn out where there is room for it.
func (v *view) cables(s *drill.Snapshot, i, room int) string {
	var long, short []string
	others := len(s.Sites) - 1
	name := min(cableName, max(1, (room+1)/max(1, others)-3)) // behind a line and a blank, before another blank
	for j := range s.Sites {
		if j != i {
			c := v.cable(&s.Sites[i], &s.Sites[j])
			long = append(long, c.draw(c.long, cableName))
			short = append(short, c.draw(c.short, name))
		}
	}
	return fitting(room, strings.Join(long, "   "), strings.Join(short, " "))
}

// cable is the line between two sites.
type cable struct {
	long, short string
	colour      func(string) string // of the line
	shade       func(string) string // of the name
	to          string
}

func (c *cable) draw(line string, name int) string {
	return c.colour(line) + " " + c.shade(fmt.Sprintf("%-*.*s", name, name, c.to))
}

// cable shows whether a line is whole, cut, or open in one direction only.
func (v *view) cable(from, to *drill.SiteView) cable {
	p := v.paint
	switch {
	case from.Damage == drill.CutOff || to.Damage == drill.CutOff || (from.Damage == drill.Parted) != (to.Damage == drill.Parted):
		return cable{"╶ ✂ ╴", "✂", p.red, p.dim, to.Name}
	case gone(from.Damage) || gone(to.Damage):
		return cable{"┄┄┄┄┄", "┄", p.dim, p.dim, to.Name}
	case from.Damage == drill.Muted || to.Damage == drill.Deafened:
		return cable{"◂━━━✂", "◂", p.yellow, p.dim, to.Name}
	case from.Damage == drill.Deafened || to.Damage == drill.Muted:
		return cable{"✂━━━▸", "▸", p.yellow, p.dim, to.Name}
	}
	return cable{"━━━━━", "━", p.green, func(name string) string { return name }, to.Name}
}

// carriers shows every carrier and what goes over it. One that is broken takes no line away: sites are joined by the others.
func (v *view) carriers(s *drill.Snapshot, room int) string {
	p := v.paint
	var all, names []string
	for i, c := range s.Carriers {
		name := p.green(fmt.Sprintf("━━ carrier %d", i+1))
		if c.Damage != drill.Whole {
			name = p.red(fmt.Sprintf("✂  carrier %d", i+1)) + " " + p.red(string(c.Damage))
		}
		all = append(all, name+" "+p.dim(fmt.Sprintf("%5.0f kB/s", c.Rate/1000)))
		names = append(names, name)
	}
	return "  " + fitting(room-2, strings.Join(all, "     "), strings.Join(all, "  "), strings.Join(names, "  "))
}

func gone(d drill.Damage) bool {
	return d == drill.Killed || d == drill.Frozen || d == drill.Restarting
}

func (v *view) rates(s *drill.Snapshot, room int) string {
	p := v.paint
	name, last := "  "+p.dim("payments/s  "), "  "+p.bold(lastRate(s.Rates))
	return name + p.green(sparkline(s.Rates, max(0, min(sparkWidth, room-cellsOf(name)-cellsOf(last))))) + last
}

func (v *view) answered(s *drill.Snapshot, room int) string {
	name, half, most := "  "+v.paint.dim("answered in "), v.paint.bold(inMillis(s.P50)), v.paint.bold(inMillis(s.P99))
	return fitting(room,
		fmt.Sprintf("%s%s half of them, %s ninety-nine of a hundred", name, half, most),
		fmt.Sprintf("%s%s half, %s 99 of 100", name, half, most))
}

func (v *view) counts(s *drill.Snapshot, room int) string {
	p := v.paint
	zero := func(n int, what string) string {
		if n == 0 {
			return p.green(fmt.Sprintf("%d %s", n, what))
		}
		return p.red(fmt.Sprintf("%d %s", n, what))
	}
	all := []string{
		"  " + p.bold(thousands(s.Payments.Acknowledged)) + " acknowledged",
		zero(s.Lost+s.Altered, "lost"), zero(s.Doubled, "doubled"), zero(s.Payments.Unknown, "unknown"),
	}
	looked := thousands(s.Looked) + " looked up again"
	return fitting(room,
		strings.Join(append(slices.Clone(all), p.dim("("+looked+" so far)")), "   "),
		strings.Join(append(slices.Clone(all), p.dim("("+looked+")")), "   "),
		strings.Join(append(slices.Clone(all), p.dim("("+looked+")")), "  "),
		strings.Join(all, "  "))
}

// banner is the line everybody looks at when something is broken.
func (v *view) banner(s *drill.Snapshot, room int) string {
	n := len(s.Faults)
	switch {
	case s.Running && n > 0:
		return v.fault(s, &s.Faults[n-1], room)
	case s.Running:
		return "  " + v.paint.dim(s.Phase)
	}
	return "  " + v.paint.dim(string([]rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[v.frame%10])+" "+s.Phase)
}

func (v *view) fault(s *drill.Snapshot, f *drill.FaultView, room int) string {
	p := v.paint
	long := fmt.Sprintf("longest wait %s, %d requests failed", inMillis(f.Pause), f.Failed)
	short := fmt.Sprintf("%s, %d failed", inMillis(f.Pause), f.Failed)
	what := p.good(" MENDED ") + fmt.Sprintf("  %s of %s: ", f.Kind, title(f.Target))
	if f.Healed == 0 {
		what = p.alarm(fmt.Sprintf(" %s of %s, %.1f s ", strings.ToUpper(f.Kind), title(f.Target), (s.Elapsed-f.At).Seconds())) + "  "
	}
	return fitting(room, "  "+what+long, "  "+what+short)
}

// elsewhere tells what owners noticed of the last fault whose shard was led from a site that it did not take away.
func (v *view) elsewhere(s *drill.Snapshot, room int) string {
	n := len(s.Faults)
	if n == 0 || !s.Running || !s.Faults[n-1].Spared {
		return ""
	}
	longest := v.paint.bold(inMillis(s.Faults[n-1].Elsewhere))
	return fitting(room, "  owners whose shard is led from another site: longest wait "+longest, "  owners led elsewhere: longest wait "+longest, "  led elsewhere: "+longest)
}

// tell writes a line when something new begins, and one a second while the load runs.
func (v *view) tell(s *drill.Snapshot) {
	if s.Changed {
		fmt.Fprintf(v.w, "%s: %s\n", s.Scenario, s.Phase)
	}
	v.tellFaults(s.Faults)
	if !s.Running || s.Elapsed < v.second {
		return
	}
	v.second = s.Elapsed.Truncate(time.Second) + time.Second
	fault := ""
	if n := len(s.Faults); n > 0 && s.Faults[n-1].Healed == 0 {
		fault = fmt.Sprintf("  %s of %s", s.Faults[n-1].Kind, title(s.Faults[n-1].Target))
	}
	fmt.Fprintf(v.w, "%5.1f s  %s payments/s  median %s  99%% %s  %s acknowledged  %d lost  %d doubled  %d unknown  %s%s\n",
		s.Elapsed.Seconds(), lastRate(s.Rates), inMillis(s.P50), inMillis(s.P99), thousands(s.Payments.Acknowledged),
		s.Lost+s.Altered, s.Doubled, s.Payments.Unknown, leader(s), fault)
}

// tellFaults writes a line when a fault begins and one when it is over: those of each second may miss one that is shorter.
func (v *view) tellFaults(faults []drill.FaultView) {
	for i := range faults {
		f := &faults[i]
		if i == len(v.told) {
			v.told = append(v.told, false)
			fmt.Fprintf(v.w, "%5.1f s  %s of %s begins\n", f.At.Seconds(), f.Kind, title(f.Target))
		}
		if !v.told[i] && f.Healed > 0 {
			v.told[i] = true
			elsewhere := ""
			if f.Spared {
				elsewhere = ", owners led elsewhere " + inMillis(f.Elsewhere)
			}
			fmt.Fprintf(v.w, "%5.1f s  %s of %s is over: longest wait so far %s%s, %s failed\n", f.Healed.Seconds(), f.Kind, title(f.Target), inMillis(f.Pause), elsewhere, plural(f.Failed, "request"))
		}
	}
}

// leads says how many shards a site leads; where there is one, that it does.
func leads(s *drill.Snapshot, x *drill.SiteView) string {
	if s.Shards < 2 {
		return "leads"
	}
	return "leads " + plural(x.Leads, "shard")
}

// leader is who leads; with several shards, who leads how many.
func leader(s *drill.Snapshot) string {
	var all []string
	for _, x := range s.Sites {
		switch {
		case x.Leads == 0:
		case s.Shards < 2:
			return "leader " + x.Name
		default:
			all = append(all, fmt.Sprintf("%s %d", x.Name, x.Leads))
		}
	}
	if len(all) == 0 {
		return "leader none"
	}
	return "leaders " + strings.Join(all, ", ")
}

// sparkline draws the last values as blocks of eight heights, against the right edge.
func sparkline(values []float64, width int) string {
	blocks := []rune(" ▁▂▃▄▅▆▇█")
	values = values[max(0, len(values)-width):]
	top := 1.0
	for _, x := range values {
		top = max(top, x)
	}
	out := []rune(strings.Repeat(" ", width-len(values)))
	for _, x := range values {
		out = append(out, blocks[int(x/top*float64(len(blocks)-1)+0.5)])
	}
	return string(out)
}

func lastRate(rates []float64) string {
	if len(rates) == 0 {
		return fmt.Sprintf("%5d", 0)
	}
	return fmt.Sprintf("%5.0f", rates[len(rates)-1])
}

func inMillis(d time.Duration) string {
	if d == 0 {
		return "   -   "
	}
	return fmt.Sprintf("%.1f ms", float64(d)/1e6)
}

func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// title gives the names of sites as people write them.
func title(target string) string {
	var all []string
	for name := range strings.SplitSeq(target, "+") {
		name, direction, one := strings.Cut(name, ":")
		for id := range holdfast.SiteID(drill.MaxSites + 1) { // one may come
			if strings.EqualFold(drill.SiteName(id+1), name) {
				name = drill.SiteName(id + 1)
			}
		}
		if one {
			name += " (" + direction + ")"
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}

// paint colours text when it is true. The colours are of the 16 that every terminal maps to its own theme.
type paint bool

func (p paint) with(code, text string) string {
	if !p {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (p paint) bold(s string) string   { return p.with("1", s) }
func (p paint) dim(s string) string    { return p.with("2", s) }
func (p paint) red(s string) string    { return p.with("31", s) }
func (p paint) green(s string) string  { return p.with("32", s) }
func (p paint) yellow(s string) string { return p.with("33", s) }
func (p paint) alarm(s string) string  { return p.with("1;97;41", s) }
func (p paint) good(s string) string   { return p.with("1;30;42", s) }
