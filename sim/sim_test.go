package sim

import (
	"os"
	"strconv"
	"testing"
)

func TestOne(t *testing.T) {
	seed := uint64(1)
	if s := os.Getenv("SEED"); s != "" {
		n, _ := strconv.Atoi(s)
		seed = uint64(n)
	}
	r := Run(seed, Options{Calm: os.Getenv("CALM") != "", Trace: os.Stderr})
	t.Logf("%s %+v", r, r.Stats)
}

func TestMany(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("N"))
	s := RunMany(t.Context(), 1, n, Options{Calm: os.Getenv("CALM") != ""}, func(r Result) bool {
		if !r.OK {
			t.Errorf("seed %d %s: %.400s", r.Seed, r.Invariant, r.Failure)
		}
		return true
	})
	t.Logf("%+v", s.Stats)
}
