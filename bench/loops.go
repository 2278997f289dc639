package bench

import (
	"context"
	"errors"
	"sync"
	"time"
)

// call is one request, from when it is sent until it is answered.
type call func(ctx context.Context) error

// errSpent is that a caller has nothing left to ask for. It is no failure.
var errSpent = errors.New("nothing is left to ask for")

// closedLoop has callers that call again as soon as they are answered. of makes what caller i calls; only he uses it. Whoever fails stops.
func closedLoop(ctx context.Context, callers int, length time.Duration, of func(i int) call) (perSecond float64, waits times, errs error) {
	var group sync.WaitGroup
	var mu sync.Mutex
	began := time.Now()
	until := began.Add(length)
	for i := range callers {
		one := of(i)
		group.Go(func() {
			var mine times
			var err error
			for err == nil && time.Now().Before(until) {
				sent := time.Now()
				if err = one(ctx); err == nil {
					mine = append(mine, time.Since(sent))
				}
			}
			if errors.Is(err, errSpent) {
				err = nil
			}
			mu.Lock()
			defer mu.Unlock()
			waits, errs = append(waits, mine...), errors.Join(errs, err)
		})
	}
	group.Wait()
	return rate(len(waits), time.Since(began)), waits, errs
}

// openLoop calls when it is due, whether or not the calls before have been answered, for a length of time or until ctx ends. next makes the call
// number n, one after the other. A wait begins when the call was due.
func openLoop(ctx context.Context, perSecond float64, length time.Duration, next func(n int) call) (waits times, failed int, err error) {
	step := time.Duration(float64(time.Second) / max(1, perSecond))
	var group sync.WaitGroup
	var mu sync.Mutex
	began := time.Now()
	for n := 0; time.Duration(n)*step < length && ctx.Err() == nil; n++ {
		due := began.Add(time.Duration(n) * step)
		time.Sleep(time.Until(due))
		one := next(n)
		group.Go(func() {
			failure := one(ctx)
			mu.Lock()
			defer mu.Unlock()
			if failure != nil {
				failed++
				return
			}
			waits = append(waits, time.Since(due))
		})
	}
	group.Wait()
	return waits, failed, ctx.Err()
}

// each does something with the numbers below n, a few at a time, until one fails.
func each(ctx context.Context, n, atOnce int, do func(ctx context.Context, i int) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	for k := range min(n, atOnce) {
		group.Go(func() {
			for i := k; i < n && ctx.Err() == nil; i += atOnce {
				if err := do(ctx, i); err != nil {
					stop(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}
