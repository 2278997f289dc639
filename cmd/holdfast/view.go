package main

import (
	"fmt"
	"io"
	"os"
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

	mu     sync.Mutex
	drawn  int // lines of the picture that is on the screen
	second time.Duration
	frame  int
	closed bool
}

func newView(w io.Writer) *view {
	v := &view{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		v.live, v.paint = true, paint(os.Getenv("NO_COLOR") == "")
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

const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	clearLine  = "\x1b[K"
	clearBelow = "\x1b[J"
)

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

// draw writes the picture over the one before, in one write: a terminal that draws half a picture flickers.
func (v *view) draw(s *drill.Snapshot) {
	v.frame++
	lines := v.picture(s)
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	for _, l := range lines {
		b.WriteString("\r" + l + clearLine + "\n")
	}
	b.WriteString(clearBelow)
	v.drawn = len(lines)
	_, _ = io.WriteString(v.w, b.String()) // a terminal that is gone must not end the drill
}

func (v *view) picture(s *drill.Snapshot) []string {
	p := v.paint
	lines := []string{
		"",
		"  " + p.bold("HOLDFAST") + p.dim("  "+s.Scenario) + "   " + v.progress(s),
		"",
	}
	for i := range s.Sites {
		lines = append(lines, v.siteLine(s, i))
	}
	if len(s.Carriers) > 1 {
		lines = append(lines, "", "  "+v.carriers(s))
	}
	lines = append(lines, "",
		"  "+p.dim("payments/s  ")+p.green(sparkline(s.Rates, sparkWidth))+"  "+p.bold(lastRate(s.Rates)),
		fmt.Sprintf("  %s%s half of them, %s ninety-nine of a hundred", p.dim("answered in "), p.bold(inMillis(s.P50)), p.bold(inMillis(s.P99))),
		"",
		"  "+v.counts(s),
		"",
		"  "+v.banner(s),
		"")
	return lines
}

const (
	sparkWidth    = 60
	progressWidth = 30
)

func (v *view) progress(s *drill.Snapshot) string {
	share := 0.0
	if s.Length > 0 {
		share = min(1, float64(s.Elapsed)/float64(s.Length))
	}
	full := int(share * progressWidth)
	bar := v.paint.green(strings.Repeat("━", full)) + v.paint.dim(strings.Repeat("─", progressWidth-full))
	return fmt.Sprintf("%s %s", bar, v.paint.dim(fmt.Sprintf("%4.1f of %.0f s", s.Elapsed.Seconds(), s.Length.Seconds())))
}

// siteLine is one site: its name, its part in the play, and its cables to the others.
func (v *view) siteLine(s *drill.Snapshot, i int) string {
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
	var cables []string
	for j := range s.Sites {
		if j != i {
			cables = append(cables, v.cable(x, &s.Sites[j]))
		}
	}
	return fmt.Sprintf("  %s %-11s %s %s", mark, x.Name, part, strings.Join(cables, "   "))
}

// cable shows the line between two sites: whole, cut, or open in one direction only.
func (v *view) cable(from, to *drill.SiteView) string {
	p := v.paint
	name := fmt.Sprintf("%-9s", to.Name)
	switch {
	case from.Damage == drill.CutOff || to.Damage == drill.CutOff || (from.Damage == drill.Parted) != (to.Damage == drill.Parted):
		return p.red("╶ ✂ ╴ ") + p.dim(name)
	case gone(from.Damage) || gone(to.Damage):
		return p.dim("┄┄┄┄┄ " + name)
	case from.Damage == drill.Muted || to.Damage == drill.Deafened:
		return p.yellow("◂━━━✂ ") + p.dim(name)
	case from.Damage == drill.Deafened || to.Damage == drill.Muted:
		return p.yellow("✂━━━▸ ") + p.dim(name)
	}
	return p.green("━━━━━ ") + name
}

// carriers shows every carrier and what goes over it. One that is broken takes no line away: sites are joined by the others.
func (v *view) carriers(s *drill.Snapshot) string {
	p := v.paint
	var all []string
	for i, c := range s.Carriers {
		rate := fmt.Sprintf("%5.0f kB/s", c.Rate/1000)
		if c.Damage == drill.Whole {
			all = append(all, fmt.Sprintf("%s %s", p.green(fmt.Sprintf("━━ carrier %d", i+1)), p.dim(rate)))
			continue
		}
		all = append(all, fmt.Sprintf("%s %s %s", p.red(fmt.Sprintf("✂  carrier %d", i+1)), p.red(string(c.Damage)), p.dim(rate)))
	}
	return strings.Join(all, "     ")
}

func gone(d drill.Damage) bool {
	return d == drill.Killed || d == drill.Frozen || d == drill.Restarting
}

func (v *view) counts(s *drill.Snapshot) string {
	p := v.paint
	zero := func(n int, what string) string {
		if n == 0 {
			return p.green(fmt.Sprintf("%d %s", n, what))
		}
		return p.red(fmt.Sprintf("%d %s", n, what))
	}
	return fmt.Sprintf("%s acknowledged   %s   %s   %s   %s", p.bold(thousands(s.Payments.Acknowledged)),
		zero(s.Lost+s.Altered, "lost"), zero(s.Doubled, "doubled"), zero(s.Payments.Unknown, "unknown"),
		p.dim("("+thousands(s.Looked)+" looked up again so far)"))
}

// banner is the line everybody looks at when something is broken.
func (v *view) banner(s *drill.Snapshot) string {
	p := v.paint
	if n := len(s.Faults); s.Running && n > 0 {
		f := &s.Faults[n-1]
		what := fmt.Sprintf("longest wait %s, %d requests failed", inMillis(f.Pause), f.Failed)
		if f.Healed == 0 {
			return p.alarm(fmt.Sprintf(" %s of %s, %.1f s ", strings.ToUpper(f.Kind), title(f.Target), (s.Elapsed-f.At).Seconds())) + "  " + what
		}
		return p.good(" MENDED ") + fmt.Sprintf("  %s of %s: %s", f.Kind, title(f.Target), what)
	}
	if s.Running {
		return p.dim(s.Phase)
	}
	return p.dim(string([]rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[v.frame%10]) + " " + s.Phase)
}

// tell writes a line when something new begins, and one a second while the load runs.
func (v *view) tell(s *drill.Snapshot) {
	if s.Changed {
		fmt.Fprintf(v.w, "%s: %s\n", s.Scenario, s.Phase)
	}
	if !s.Running || s.Elapsed < v.second {
		return
	}
	v.second = s.Elapsed.Truncate(time.Second) + time.Second
	fault := ""
	if n := len(s.Faults); n > 0 && s.Faults[n-1].Healed == 0 {
		fault = fmt.Sprintf("  %s of %s", s.Faults[n-1].Kind, s.Faults[n-1].Target)
	}
	fmt.Fprintf(v.w, "%5.1f s  %s payments/s  median %s  99%% %s  %s acknowledged  %d lost  %d doubled  %d unknown  %s%s\n",
		s.Elapsed.Seconds(), lastRate(s.Rates), inMillis(s.P50), inMillis(s.P99), thousands(s.Payments.Acknowledged),
		s.Lost+s.Altered, s.Doubled, s.Payments.Unknown, leader(s), fault)
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
