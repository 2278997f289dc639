package client

import (
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var b budget
	for i := range budgetMost {
		if !b.take(now) {
			t.Fatalf("empty after %d attempts", i)
		}
	}
	if b.take(now) {
		t.Fatal("more than the most was taken at once")
	}
	for range int(2 / budgetPerAnswer) {
		b.earn()
	}
	earned := 0
	for b.take(now) {
		earned++
	}
	if earned != 2 {
		t.Errorf("answers earned %d attempts, want 2", earned)
	}
	got := 0
	for later := now.Add(time.Second); b.take(later); {
		got++
	}
	if got != budgetPerSecond {
		t.Errorf("a second earned %d attempts, want %d", got, budgetPerSecond)
	}
	got = 0
	for later := now.Add(time.Hour); b.take(later); {
		got++
	}
	if got != budgetMost {
		t.Errorf("an hour earned %d attempts, want %d", got, budgetMost)
	}
}
