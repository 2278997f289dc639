package drill

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/client"
)

// codeReplay is the business of code-replay: two merchants show the same payment code to two sites in the same instant, again and again. Each asks
// until he knows: first his site alone, then any.
type codeReplay struct {
	*bazaar
	mu   sync.Mutex
	list []contestOfCode
}

// contestOfCode is what two merchants were told who have shown one code.
type contestOfCode struct {
	sides [2]deed
	sites [2]holdfast.SiteID // that were asked first
	at    time.Duration      // since the start of the load
}

const (
	replayEvery  = 90 * time.Millisecond
	replayTime   = 15 * time.Second // that each side asks for, until it knows
	replaysLeast = 20               // in a cut, or it proves nothing
)

func openCodeReplay(ctx context.Context, r *run) (business, error) {
	m, err := newBazaar(ctx, r, stalls{sellers: 3, buyers: 41, phones: 4, money: 10_000_000})
	if err != nil {
		return nil, err
	}
	return &codeReplay{bazaar: m}, nil
}

func (x *codeReplay) trade(ctx, until context.Context) {
	var work sync.WaitGroup
	for n := 0; rest(until, x.pace(replayEvery)) == nil; n++ {
		code, _, ok := x.code(time.Now())
		if !ok {
			break // every phone has shown all it has
		}
		work.Go(func() { x.contend(ctx, n, code) })
	}
	work.Wait()
}

// contend has both sides begin in the same instant.
func (x *codeReplay) contend(ctx context.Context, n int, code string) {
	c := contestOfCode{at: x.clock()}
	start := make(chan struct{})
	var both sync.WaitGroup
	for i := range c.sides {
		m := x.fleet.sites[(n+i)%len(x.fleet.sites)]
		c.sites[i] = m.id
		both.Go(func() {
			<-start
			c.sides[i] = x.show(ctx, m, x.sellers[(n+i)%len(x.sellers)], fmt.Sprintf("code-%d-%d", n, i), holdfast.Amount(500+n), code)
		})
	}
	close(start)
	both.Wait()
	x.deeds.write(c.sides[:]...)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.list = append(x.list, c)
}

func (x *codeReplay) show(ctx context.Context, m *member, s *vendor, number string, amount holdfast.Amount, code string) deed {
	began := time.Now()
	d := deed{By: byNative, Do: doPay, Trade: number, Amount: amount, seller: s.owner, Began: began.UnixMilli()}
	ask := func(c *client.Client) {
		v, err := c.CreateTrade(ctx, client.NewTrade{Merchant: s.owner, OutTradeNo: number, Amount: amount, Asset: yuan, Subject: "tea", PaymentCode: code})
		d.Said, d.Status = v.Amount, v.Status
		d.Told, d.Code = toldBy(err)
	}
	for ask(m.own); d.maybe() && time.Since(began) < replayTime; ask(x.client) {
		if rest(ctx, pollPause) != nil {
			break
		}
	}
	d.Ended = time.Now().UnixMilli()
	return d
}

// replays is what was found about codes that were shown twice.
type replays struct {
	wrong []string
	inCut int // while a site was cut off
	far   int // of those, how many asked the site that was
}

// judgeReplays wants one payment of each code, and the other side told that the code has been used.
func judgeReplays(list []contestOfCode, faults []Fault) (out replays) {
	for i := range list {
		c := &list[i]
		a, b := &c.sides[0], &c.sides[1]
		if a.Told != toldDone {
			a, b = b, a
		}
		switch {
		case a.Told == toldDone && b.Told == toldDone:
			say(&out.wrong, "%s and %s were both paid by one code", a.Trade, b.Trade)
		case a.maybe() || b.maybe():
			say(&out.wrong, "%s was told %s (%s), %s %s (%s): no last word within %v", a.Trade, a.Told, a.Code, b.Trade, b.Told, b.Code, replayTime)
		case a.Told != toldDone:
			say(&out.wrong, "neither %s (%s) nor %s (%s) was paid", a.Trade, a.Code, b.Trade, b.Code)
		case b.Code != "code-used":
			say(&out.wrong, "%s was refused as %q: want code-used", b.Trade, b.Code)
		}
		for j := range faults {
			f := &faults[j]
			if c.at < f.At || c.at >= f.Healed {
				continue
			}
			out.inCut++
			for _, id := range c.sites {
				if strings.EqualFold(SiteName(id), f.Target) {
					out.far++
				}
			}
		}
	}
	return out
}

func (x *codeReplay) prove(ctx context.Context, p *prover) error {
	found := judgeReplays(x.list, x.faults())
	p.findings = append(p.findings, found.wrong[:min(len(found.wrong), 5)]...)
	if found.inCut < replaysLeast || found.far == 0 {
		p.findings = append(p.findings, fmt.Sprintf("%d codes were shown twice while a site was cut off, %d of them there: that proves little", found.inCut, found.far))
	}
	p.told = append(p.told, fmt.Sprintf("%s were shown, each at two shops and two sites in the same instant; %d of them during the cut, %d of those at the site that was cut off",
		plural(len(x.list), "payment code"), found.inCut, found.far))
	p.add("One code pays once", len(found.wrong) == 0, "%s: one of the two shops was paid, and the other told that the code has been used; of %d that is not so",
		plural(len(x.list), "code"), len(found.wrong))
	return x.proveDeeds(ctx, p)
}

func (x *codeReplay) close() error {
	x.client.Close()
	return nil
}
