package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"holdfast"
	"holdfast/drill"
)

// terminal is one as far as a picture needs it: it wraps, scrolls, and keeps what has left it at the top. It does not know how to be told
// not to wrap, as some do not.
type terminal struct {
	t             *testing.T
	columns, rows int
	screen        [][]rune // its rows
	x, y          int
	above         []string // what has scrolled away
	beyond        int      // signs that were written in the last cell of a row, or would have been behind it
}

func newTerminal(t *testing.T, columns, rows int) *terminal {
	return &terminal{t: t, columns: columns, rows: rows, screen: make([][]rune, rows)}
}

func (m *terminal) Write(p []byte) (int, error) {
	for text := string(p); text != ""; {
		if rest, ok := strings.CutPrefix(text, "\x1b["); ok {
			end := strings.IndexAny(rest, "ABCDHJKhlm")
			m.obey(rest[:end], rest[end])
			text = rest[end+1:]
			continue
		}
		r, n := utf8.DecodeRuneInString(text)
		text = text[n:]
		m.put(r)
	}
	return len(p), nil
}

func (m *terminal) obey(arg string, what byte) {
	switch what {
	case 'A':
		n := 0
		if _, err := fmt.Sscan(arg, &n); err != nil {
			m.t.Fatal(err)
		}
		m.y = max(0, m.y-n)
	case 'H':
		m.x, m.y = 0, 0
	case 'K':
		m.screen[m.y] = m.screen[m.y][:min(m.x, len(m.screen[m.y]))]
	case 'J':
		if arg == "2" {
			m.screen = make([][]rune, m.rows)
			return
		}
		m.screen[m.y] = m.screen[m.y][:min(m.x, len(m.screen[m.y]))]
		clear(m.screen[m.y+1:])
	case 'm', 'h', 'l':
	default:
		m.t.Fatalf("the terminal of this test does not know ESC [ %s %c", arg, what)
	}
}

func (m *terminal) put(r rune) {
	switch r {
	case '\r':
		m.x = 0
		return
	case '\n':
		m.x = 0
		m.down()
		return
	}
	if m.x >= m.columns {
		m.x = 0
		m.down()
	}
	if m.x >= m.columns-1 {
		m.beyond++
	}
	for len(m.screen[m.y]) <= m.x {
		m.screen[m.y] = append(m.screen[m.y], ' ')
	}
	m.screen[m.y][m.x] = r
	m.x++
}

func (m *terminal) down() {
	if m.y++; m.y == m.rows {
		m.above = append(m.above, string(m.screen[0]))
		m.screen = append(m.screen[1:], nil)
		m.y--
	}
}

// resize breaks the lines anew, as the terminals do that make this hardest.
func (m *terminal) resize(columns, rows int) {
	old := m.screen[:m.y+1]
	*m = terminal{t: m.t, columns: columns, rows: rows, screen: make([][]rune, rows), beyond: m.beyond}
	for i, line := range old {
		for n, r := range line {
			if n > 0 && n%columns == 0 {
				m.put('\n')
			}
			m.put(r)
		}
		if i < len(old)-1 {
			m.put('\n')
		}
	}
	m.beyond, m.above = 0, nil // that was its own doing
}

func (m *terminal) text() string {
	all := append([]string(nil), m.above...)
	for _, l := range m.screen {
		all = append(all, string(l))
	}
	return strings.TrimRight(strings.Join(all, "\n"), "\n")
}

// play gives the moments of a drill whose lines are as long as they become.
func play(sites, carriers int) (all []*drill.Snapshot) {
	s := drill.Snapshot{Scenario: "shard-split-kill", Phase: "three sites start, and every one waits until it hears the others", Length: time.Minute, Shards: 8}
	for id := range holdfast.SiteID(sites) {
		s.Sites = append(s.Sites, drill.SiteView{ID: id + 1, Name: drill.SiteName(id + 1)})
	}
	for range carriers {
		s.Carriers = append(s.Carriers, drill.CarrierView{Rate: 12_345_000})
	}
	add := func(change func()) {
		change()
		now := s
		now.Sites = append([]drill.SiteView(nil), s.Sites...)
		now.Carriers = append([]drill.CarrierView(nil), s.Carriers...)
		all = append(all, &now)
	}
	add(func() {})
	add(func() { s.Running, s.Elapsed, s.Sites[0].Leads = true, 7*time.Second, 8 })
	add(func() {
		s.Payments = drill.Payments{Acknowledged: 1_234_567, Unknown: 12}
		s.Looked, s.P50, s.P99 = 1_234_567, 1234*time.Millisecond, 12345*time.Millisecond
		for i := range 200 {
			s.Rates = append(s.Rates, float64(100*i))
		}
	})
	add(func() {
		s.Sites[0].Damage, s.Sites[1].Damage = drill.CutOff, drill.Deafened
		if carriers > 0 {
			s.Carriers[0].Damage = drill.CarrierPair
		}
		s.Faults = append(s.Faults, drill.FaultView{Fault: drill.Fault{Kind: "two-sites-of-five", Target: "hangzhou+shanghai", At: 7 * time.Second}, Failed: 123})
	})
	add(func() {
		s.Faults[0].Healed, s.Sites[0].Damage, s.Sites[1].Damage = 9*time.Second, drill.Whole, drill.Restarting
	})
	return all
}

// A picture is drawn where the one before was: no line is wrapped, nothing scrolls away, and it is there once, however wide the
// terminal is and whenever somebody changes that.
func TestPictureStaysInPlace(t *testing.T) {
	for _, c := range []struct{ columns, rows, sites, carriers int }{
		{80, 24, 3, 2},
		{80, 24, 5, 2},
		{80, 24, 5, 0},
		{60, 24, 3, 2},
		{60, 24, 5, 3},
		{120, 40, 5, 2},
		{40, 24, 3, 2},
		{80, 10, 5, 2},
		{10, 3, 3, 2},
		{1, 1, 3, 0},
	} {
		for _, colours := range []paint{false, true} {
			m := newTerminal(t, c.columns, c.rows)
			v := &view{w: m, live: true, paint: colours, size: func() (int, int) { return m.columns, m.rows }}
			for i, s := range play(c.sites, c.carriers) {
				v.show(s)
				m.judge(fmt.Sprintf("%+v, picture %d", c, i), len(m.above) == 0)
			}
			for _, wide := range []int{c.columns - 3, c.columns / 2, c.columns + 40, c.columns} {
				m.resize(max(wide, 1), c.rows)
				v.show(play(c.sites, c.carriers)[2])
				m.judge(fmt.Sprintf("%+v, now %d columns", c, m.columns), true)
				v.show(play(c.sites, c.carriers)[4])
				m.judge(fmt.Sprintf("%+v, now %d columns, again", c, m.columns), true)
			}
			m.resize(c.columns, max(c.rows/2, 1))
			v.show(play(c.sites, c.carriers)[3])
			m.judge(fmt.Sprintf("%+v, half as high", c), true)
		}
	}
}

func (m *terminal) judge(when string, stays bool) {
	m.t.Helper()
	times := strings.Count(m.text(), "HOLDFAST")
	if m.beyond > 0 || !stays || times > 1 || times == 0 && m.columns > 20 && m.rows > 5 {
		m.t.Fatalf("%s: %d signs in the last column or behind it, %d lines scrolled away, the title is there %d times:\n%s",
			when, m.beyond, len(m.above), times, m.text())
	}
}

// What matters is said in full on the usual terminal, and on one that is narrower.
func TestPictureSaysWhatMatters(t *testing.T) {
	for _, columns := range []int{60, 80, 120} {
		for i, s := range play(3, 2) {
			v := newView(&strings.Builder{})
			text := strings.Join(v.picture(s, columns-1), "\n")
			wants := []string{"60 s", " acknowledged ", "0 lost", "0 doubled", fmt.Sprint(s.Payments.Unknown, " unknown"), "carrier 2"}
			if i == 1 {
				wants = append(wants, "leads 8 shards", "Shanghai", "Shenzhen")
			}
			if i >= 2 {
				wants = append(wants, "19900", "1234.0 ms half", "12345.0 ms", "█")
			}
			for _, want := range wants {
				if !strings.Contains(text, want) {
					t.Errorf("%d columns, picture %d does not say %q:\n%s", columns, i, want, text)
				}
			}
		}
	}
}

func TestCutKeepsColoursWhole(t *testing.T) {
	for _, c := range []struct {
		line string
		room int
		want string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "ab…"},
		{"━━━━", 3, "━━…"},
		{"abcd", 0, ""},
		{"\x1b[31mabc\x1b[0m", 3, "\x1b[31mabc\x1b[0m"},
		{"\x1b[31mabcd\x1b[0m", 3, "\x1b[31mab…\x1b[0m"},
	} {
		if got := cut(c.line, c.room); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.line, c.room, got, c.want)
		}
	}
}
