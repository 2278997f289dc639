package drill

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"

	"holdfast"
)

// The plots are SVG drawn here, with classes that the page colours for light and dark. Each is drawn twice, wide and narrow,
// because text that is scaled down with a picture cannot be read on a phone.

// plot is a picture with time from left to right.
type plot struct {
	b                        strings.Builder
	width, height            float64
	left, right, top, bottom float64 // margins
	length                   time.Duration
}

const (
	wide   = 960
	narrow = 400
)

func newPlot(width, height float64, e *Evidence, label string) *plot {
	p := &plot{width: width, height: height, left: 48, right: 18, top: 26, bottom: 26, length: max(e.Length, time.Second)}
	fmt.Fprintf(&p.b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, width, height, html.EscapeString(label))
	p.shade(e)
	p.timeAxis()
	return p
}

func (p *plot) done() template.HTML {
	p.b.WriteString(`</svg>`)
	return template.HTML(p.b.String()) // made of numbers and escaped names only
}

func (p *plot) x(t time.Duration) float64 {
	return p.left + (p.width-p.left-p.right)*float64(t)/float64(p.length)
}

// y maps a share of the height, 0 at the bottom, 1 at the top.
func (p *plot) y(share float64) float64 {
	return p.height - p.bottom - (p.height-p.top-p.bottom)*share
}

// shade marks the times in which something was broken, with the names of what and where.
func (p *plot) shade(e *Evidence) {
	for i, f := range e.Faults {
		until := f.Healed
		if until == 0 || until < f.At {
			until = p.length
		}
		from, to := p.x(f.At), max(p.x(until), p.x(f.At)+2)
		fmt.Fprintf(&p.b, `<rect class="fault" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, from, p.top, to-from, p.height-p.top-p.bottom)
		room := p.width - p.right - from
		if i+1 < len(e.Faults) {
			room = p.x(e.Faults[i+1].At) - from
		}
		fmt.Fprintf(&p.b, `<text class="faultname" x="%.1f" y="%.1f">%s</text>`, from, p.top-8, html.EscapeString(fitting(room, f)))
	}
}

// fitting is as much of the name of a fault as there is room for.
func fitting(room float64, f Fault) string {
	const perLetter = 6.6
	for _, text := range []string{f.Kind + " · " + place(f.Target), f.Kind, f.Kind[:min(len(f.Kind), 6)]} {
		if float64(len(text))*perLetter < room {
			return text
		}
	}
	return ""
}

// place writes the name of a site as people do.
func place(target string) string {
	var all []string
	for name := range strings.SplitSeq(target, "+") {
		if name != "" {
			name = strings.ToUpper(name[:1]) + name[1:]
		}
		if site, direction, one := strings.Cut(name, ":"); one {
			name = site + " (" + direction + ")"
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}

func (p *plot) timeAxis() {
	step := 5 * time.Second
	if p.length < 12*time.Second {
		step = time.Second
	}
	for p.x(step)-p.x(0) < 44 {
		step *= 2
	}
	for t := time.Duration(0); t <= p.length; t += step {
		fmt.Fprintf(&p.b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, p.x(t), p.x(t), p.y(0), p.y(0)+4)
		fmt.Fprintf(&p.b, `<text class="tick" text-anchor="middle" x="%.1f" y="%.1f">%.0f s</text>`, p.x(t), p.y(0)+18, t.Seconds())
	}
}

func (p *plot) rule(share float64, label string) {
	fmt.Fprintf(&p.b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, p.left, p.width-p.right, p.y(share), p.y(share))
	fmt.Fprintf(&p.b, `<text class="tick" text-anchor="end" x="%.1f" y="%.1f">%s</text>`, p.left-6, p.y(share)+4, label)
}

// line draws through the points; a NaN breaks it.
func (p *plot) line(class string, at func(i int) time.Duration, values []float64) {
	var d strings.Builder
	pen := "M"
	for i, v := range values {
		if math.IsNaN(v) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&d, "%s%.1f %.1f", pen, p.x(at(i)), p.y(v))
		pen = "L"
	}
	fmt.Fprintf(&p.b, `<path class="%s" d="%s"/>`, class, d.String())
}

// latencyStep is a tenth of a second, and more where the load is long: a page need not be finer than a screen.
func latencyStep(e *Evidence) time.Duration { return max(100*time.Millisecond, e.Length/600) }

// latencyPlot shows how long callers waited, by the moment at which they came, on a logarithmic scale from 1 ms to 10 s.
func latencyPlot(e *Evidence, width float64) template.HTML {
	p := newPlot(width, 280, e, "Latency of payments over time, logarithmic")
	const decades = 4
	scale := func(d time.Duration) float64 {
		return min(1, max(0, math.Log10(float64(d)/float64(time.Millisecond))/decades))
	}
	for i, label := range []string{"1 ms", "10 ms", "100 ms", "1 s", "10 s"} {
		p.rule(float64(i)/decades, label)
	}
	median, high, slowest := waits(e)
	step := latencyStep(e)
	at := func(i int) time.Duration { return time.Duration(i)*step + step/2 }
	for i, d := range slowest {
		if d > 0 {
			fmt.Fprintf(&p.b, `<circle class="worst" cx="%.1f" cy="%.1f" r="1.7"/>`, p.x(at(i)), p.y(scale(d)))
		}
	}
	p.line("high", at, scaled(high, scale))
	p.line("median", at, scaled(median, scale))
	return p.done()
}

func scaled(values []time.Duration, scale func(time.Duration) float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		if out[i] = math.NaN(); v > 0 {
			out[i] = scale(v)
		}
	}
	return out
}

// waits gives median, 99th percentile and maximum of every step; 0 where nobody came or nobody was answered.
func waits(e *Evidence) (median, high, slowest []time.Duration) {
	width := latencyStep(e)
	buckets := make([][]time.Duration, int(e.Length/width)+1)
	for i := range e.Samples {
		s := &e.Samples[i]
		if step := int(s.Due / width); s.Kind.payment() && s.Status == holdfast.Done && s.Due >= 0 && step < len(buckets) {
			buckets[step] = append(buckets[step], s.Latency())
		}
	}
	for _, b := range buckets {
		slices.Sort(b)
		median, high, slowest = append(median, Quantile(b, 0.5)), append(high, Quantile(b, 0.99)), append(slowest, Quantile(b, 1))
	}
	return median, high, slowest
}

// ratePlot shows acknowledged payments a second.
func ratePlot(e *Evidence, width float64) template.HTML {
	p := newPlot(width, 180, e, "Acknowledged payments a second over time")
	step := 2 * latencyStep(e)
	counts := make([]float64, int(e.Length/step))
	for i := range e.Samples {
		s := &e.Samples[i]
		if n := int(s.Ended / step); s.Kind.payment() && s.Status == holdfast.Done && s.Ended >= 0 && n < len(counts) {
			counts[n] += float64(time.Second) / float64(step)
		}
	}
	top := roundUp(slices.Max(append(counts, 100)))
	for i := range 5 {
		p.rule(float64(i)/4, thousands(int64(top*float64(i)/4)))
	}
	at := func(i int) time.Duration { return time.Duration(i)*step + step/2 }
	var d strings.Builder
	fmt.Fprintf(&d, "M%.1f %.1f", p.x(0), p.y(0))
	for i := range counts {
		counts[i] /= top
		fmt.Fprintf(&d, "L%.1f %.1f", p.x(at(i)), p.y(counts[i]))
	}
	fmt.Fprintf(&p.b, `<path class="area" d="%sL%.1f %.1fZ"/>`, d.String(), p.x(at(len(counts)-1)), p.y(0))
	p.line("rate", at, counts)
	return p.done()
}

// carrierColours are the variables of the page that hold the colours of the lines c1 to c4.
var carrierColours = []string{"s1", "s4", "s3", "s2"}

// trafficPlot shows the bytes that are handed to each carrier, a second, on a logarithmic scale from 1 kB to 100 MB: a site that
// catches up takes a thousand times what payments take.
func trafficPlot(e *Evidence, width float64) template.HTML {
	p := newPlot(width, 200, e, "Bytes a second by carrier over time")
	const decades, least = 5, 1000
	scale := func(rate float64) float64 { return min(1, max(0, math.Log10(max(rate, 1)/least)/decades)) }
	for i, label := range []string{"1 kB", "10 kB", "100 kB", "1 MB", "10 MB", "100 MB"} {
		p.rule(float64(i)/decades, label)
	}
	at := func(i int) time.Duration { return time.Duration(i)*trafficStep(e) + trafficStep(e)/2 }
	for c := range e.Result.Carriers {
		rates := trafficRates(e, c, int(e.Length/trafficStep(e)))
		for i := range rates {
			rates[i] = scale(rates[i]) // what is no number stays none
		}
		p.line(fmt.Sprintf("c%d", c+1), at, rates)
	}
	return p.done()
}

func trafficStep(e *Evidence) time.Duration { return 2 * latencyStep(e) }

// trafficRates gives the bytes a second of a carrier, step by step.
func trafficRates(e *Evidence, carrier, steps int) []float64 {
	out := make([]float64, steps)
	for i := range out {
		from := time.Duration(i) * trafficStep(e)
		bytes, between := sent(e.Traffic, span{from - meterEvery, from + trafficStep(e) + meterEvery/2})
		if out[i] = math.NaN(); carrier < len(bytes) { // a machine with too much to do leaves readings out
			out[i] = float64(bytes[carrier]) / (between.until - between.from).Seconds()
		}
	}
	return out
}

// roundUp gives 1, 2, 4 or 8 times a power of ten that is not below v, so that a quarter of it is a round number.
func roundUp(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 4, 8} {
		if m*power >= v {
			return m * power
		}
	}
	return 10 * power
}

const (
	laneHeight = 22
	maxLanes   = 16 // shards shown; more would be a wall
)

// reignPlot shows which site led each shard.
func reignPlot(e *Evidence, width float64) template.HTML {
	lanes := min(e.Result.Shards, maxLanes)
	p := newPlot(width, float64(lanes*laneHeight)+26+26, e, "Which site led, over time")
	for shard := range lanes {
		p.lane(e, holdfast.ShardID(shard+1), p.top+float64(shard*laneHeight))
	}
	return p.done()
}

func (p *plot) lane(e *Evidence, shard holdfast.ShardID, y float64) {
	fmt.Fprintf(&p.b, `<text class="tick" text-anchor="end" x="%.1f" y="%.1f">%d</text>`, p.left-6, y+15, shard)
	var mine []Reign
	for _, r := range e.Reigns {
		if r.Shard == shard {
			mine = append(mine, r)
		}
	}
	for i, r := range mine {
		from, to := max(0, r.From), p.length
		if i+1 < len(mine) {
			to = min(to, mine[i+1].From)
		}
		if to <= from {
			continue
		}
		fmt.Fprintf(&p.b, `<rect class="site s%d" x="%.1f" y="%.1f" width="%.1f" height="%d" rx="3"><title>%s, term %d, from %.2f s</title></rect>`,
			r.Site, p.x(from), y+2, max(1.5, p.x(to)-p.x(from)-1), laneHeight-4, html.EscapeString(SiteName(r.Site)), r.Term, from.Seconds())
		if name := SiteName(r.Site); p.x(to)-p.x(from) > float64(len(name))*7+10 {
			fmt.Fprintf(&p.b, `<text class="lanename" x="%.1f" y="%.1f">%s</text>`, p.x(from)+6, y+15, html.EscapeString(name))
		}
	}
}

// pausePlot shows the longest pause of every run, in their order, with the bound and the median.
func pausePlot(s *seriesPage, width float64) template.HTML {
	p := &plot{width: width, height: 220, left: 64, right: 18, top: 14, bottom: 26}
	fmt.Fprintf(&p.b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="Longest pause of every run">`, p.width, p.height)
	top := roundUp(max(s.Pause.Worst, millis(s.Bound), 1))
	for i := range 5 {
		p.rule(float64(i)/4, thousands(int64(top*float64(i)/4))+" ms")
	}
	p.level("bound", millis(s.Bound)/top)
	p.level("middle", s.Pause.Median/top)
	x := func(i int) float64 { return p.left + (p.width-p.left-p.right)*(float64(i)+0.5)/float64(len(s.Runs)) }
	for i, e := range s.Runs {
		r := &e.Result
		class := "run"
		if !r.Passed() {
			class = "run failed"
		}
		fmt.Fprintf(&p.b, `<circle class="%s" cx="%.1f" cy="%.1f" r="4"><title>seed %d: %.0f ms, %s</title></circle>`,
			class, x(i), p.y(r.Pause()/top), r.Seed, r.Pause(), html.EscapeString(r.Verdict))
	}
	for i := 0; i < len(s.Runs); i += max(1, len(s.Runs)*44/int(width)) {
		fmt.Fprintf(&p.b, `<text class="tick" text-anchor="middle" x="%.1f" y="%.1f">%d</text>`, x(i), p.y(0)+18, s.Runs[i].Result.Seed)
	}
	return p.done()
}

// level draws a horizontal line at a share of the height.
func (p *plot) level(class string, share float64) {
	fmt.Fprintf(&p.b, `<line class="%s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, class, p.left, p.width-p.right, p.y(share), p.y(share))
}
