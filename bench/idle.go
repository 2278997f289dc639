package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"time"

	"holdfast"
	"holdfast/drill"
)

var idleCases = []kase{{name: "3-site-idle", run: idle}}

const (
	idleSites  = 3
	idleShards = 64
	idleLength = 30 * time.Second
	// idleGoal is what all sites together may take of one core, in percent.
	idleGoal = 10.0
	// idlePatience is how long the shards may take to fall asleep: leaders go home first, one after the other, and what was written at the
	// start is made a checkpoint of.
	idlePatience = 2 * time.Minute
)

// idle measures the processor time of a fleet that has many shards and nothing to do.
func idle(ctx context.Context, o *Options) (r Result, err error) {
	dir, err := os.MkdirTemp(o.Dir, "holdfast-bench-")
	if err != nil {
		return r, fmt.Errorf("make a directory for the sites: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fleet, err := drill.StartBare(ctx, o.Program, dir, drill.BareOptions{Sites: idleSites, Shards: o.Shards})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, fleet.Close()) }()
	settle, cancel := context.WithTimeout(ctx, idlePatience)
	defer cancel()
	if err := fleet.Settle(settle); err != nil {
		return r, err
	}
	slept := awaitSleep(settle, fleet, o.Shards)
	used, began := processorOfAll(fleet), time.Now()
	select {
	case <-time.After(o.Length):
	case <-ctx.Done():
		return r, ctx.Err()
	}
	took := time.Since(began)
	var each []float64
	var whole time.Duration
	for i, now := range processorOfAll(fleet) {
		each, whole = append(each, percent(now-used[i], took)), whole+now-used[i]
	}
	asleep, err := asleepAt(ctx, fleet)
	return Result{Seconds: seconds(took), Config: map[string]any{
		"sites": idleSites, "shards": o.Shards, "cpu_seconds": seconds(whole), "cpu_percent_of_one_core": percent(whole, took), "cpu_percent_each": each,
		"goal_percent": idleGoal, "within_goal": percent(whole, took) < idleGoal, "replicas_asleep": asleep, "slept_before": slept,
		"layout": "3 processes on this machine, mutual TLS on loopback, no load; processor time of all threads, from the kernel", "load_average": others(),
	}}, err
}

func percent(used, took time.Duration) float64 {
	return math.Round(10000*used.Seconds()/took.Seconds()) / 100
}

func processorOfAll(fleet *drill.Bare) (all []time.Duration) {
	for i := range idleSites {
		all = append(all, processorOf(fleet.PID(holdfast.SiteID(i+1))))
	}
	return all
}

// awaitSleep waits until every replica sleeps; false: the time was over before. What idle costs is measured in any case.
func awaitSleep(ctx context.Context, fleet *drill.Bare, shards int) bool {
	for {
		if n, err := asleepAt(ctx, fleet); err == nil && n == idleSites*shards {
			return true
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
}

// asleepAt counts the replicas that sleep, by what the sites say in their metrics.
func asleepAt(ctx context.Context, fleet *drill.Bare) (n int, err error) {
	for _, url := range fleet.URLs(0) {
		text, err := metricsOf(ctx, url, fleet.Key())
		if err != nil {
			return n, err
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "holdfast_shard_asleep{") && strings.HasSuffix(strings.TrimSpace(line), " 1") {
				n++
			}
		}
	}
	return n, nil
}

func metricsOf(ctx context.Context, url, key string) (string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return "", fmt.Errorf("ask for the metrics: %w", err)
	}
	q.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", fmt.Errorf("ask for the metrics: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", fmt.Errorf("read the metrics: %w", err)
	}
	return string(text), nil
}
