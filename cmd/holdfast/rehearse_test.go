package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestARehearsalFollowsItsFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "trouble.toml")
	r, err := newRehearsal(file, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("without a file there is no trouble: %v", err)
	}
	say := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	timed := func() time.Duration {
		began := time.Now()
		r.wrote(0, 0)
		return time.Since(began)
	}
	say("write_delay = \"80ms\"\n")
	if took := timed(); took < 80*time.Millisecond {
		t.Errorf("a write took %v", took)
	}
	h := r.over(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	ask := func(ctx context.Context) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
		return w.Code
	}
	if got := ask(t.Context()); got != http.StatusTeapot {
		t.Errorf("nothing hangs, and the answer is %d", got)
	}
	say("http_hangs = true\n")
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got := ask(soon); got == http.StatusTeapot {
		t.Error("it hangs, and was answered")
	}
	done := make(chan int)
	go func() { done <- ask(t.Context()) }()
	say("")
	if got := <-done; got != http.StatusTeapot {
		t.Errorf("it hangs no more, and the answer is %d", got)
	}
	say("clock_ahead = \"24h\"\n")
	time.Sleep(2 * clockFor)
	if ahead := time.Until(r.ahead(time.Now)()); ahead < 23*time.Hour || ahead > 25*time.Hour {
		t.Errorf("the clock is ahead by %v", ahead)
	}
	say("write_dealy = \"80ms\"\n")
	if _, err := newRehearsal(file, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a field that nobody knows was taken")
	}
	var none *rehearsal
	none.wrote(0, 0)
	if off := time.Until(none.ahead(time.Now)()); off > time.Minute || off < -time.Minute {
		t.Errorf("without a rehearsal the clock is off by %v", off)
	}
	if none.over(h) == nil {
		t.Error("without a rehearsal there is no handler")
	}
}
