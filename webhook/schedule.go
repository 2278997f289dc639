package webhook

import "time"

// gaps are the pauses between attempts that Standard Webhooks proposes: ten attempts within three days and a half.
var gaps = [...]time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// Attempts is how often a delivery is tried, when no attempt is taken.
const Attempts = len(gaps) + 1

// Next is when a delivery is tried again after its attempt number n, from 1, failed at t. draw is a random number within [0, 1): it spreads what
// failed together over up to a tenth of the pause. ok is false when that was the last attempt.
func Next(n int, t time.Time, draw float64) (again time.Time, ok bool) {
	if n < 1 || n > len(gaps) {
		return time.Time{}, false
	}
	gap := gaps[n-1]
	return t.Add(gap + time.Duration(draw*float64(gap)/10)), true
}
