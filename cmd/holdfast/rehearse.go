package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/pelletier/go-toml/v2"

	"holdfast/site"
)

// rehearsal is trouble that a site makes for itself while a file says so. A slow disk cannot be had from outside without being root, nor can
// a process whose HTTP side alone hangs; and neither can be rehearsed with a fleet that is another program than the one that is in use.
// nil: there is none, which is the default.
type rehearsal struct {
	file  string
	log   *slog.Logger
	clock atomic.Pointer[aheadness]
}

// aheadness is by how much the clock of the payments of people is ahead, and when the file said so.
type aheadness struct {
	by time.Duration
	at time.Time
}

// troubles is what the file of a rehearsal says. It is read whenever there is something to be late with: what is written to it holds from
// the next write to the disk, and the next request, on.
type troubles struct {
	WriteDelay site.Duration `toml:"write_delay"` // of every write to the disk, after its fsync: nobody knows before that it is durable
	HTTPHangs  bool          `toml:"http_hangs"`  // requests are taken and not answered as long as it says so
	ClockAhead site.Duration `toml:"clock_ahead"` // of payments of people: so that the next morning, with its settlement, need not be waited for
}

// clockFor is how long what the file says of the clock is believed before it is read again.
const clockFor = 100 * time.Millisecond

// hangPause is how often a request that hangs looks whether it still has to.
const hangPause = 25 * time.Millisecond

func newRehearsal(file string, log *slog.Logger) (*rehearsal, error) {
	if file == "" {
		return nil, nil
	}
	r := &rehearsal{file: file, log: log}
	if _, err := r.read(); err != nil {
		return nil, err
	}
	log.Warn("REHEARSAL: this site makes trouble for itself when the file says so", "file", file)
	return r, nil
}

// read reads the file; without it there is no trouble.
func (r *rehearsal) read() (t troubles, err error) {
	text, err := os.ReadFile(r.file)
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	if err != nil {
		return t, fmt.Errorf("read what is to be rehearsed: %w", err)
	}
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return t, fmt.Errorf("read what is to be rehearsed: %s: %w", r.file, err)
	}
	return t, nil
}

// now is what the file says; of one that makes no sense, nothing but a word in the log.
func (r *rehearsal) now() troubles {
	t, err := r.read()
	if err != nil {
		r.log.Error("rehearsal", "err", err)
	}
	return t
}

// wrote is told of every write, by whoever waits for it.
func (r *rehearsal) wrote(time.Duration, int) {
	if r != nil {
		time.Sleep(r.now().WriteDelay.Std())
	}
}

// over puts the trouble before a handler.
func (r *rehearsal) over(h http.Handler) http.Handler {
	if r == nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		for r.now().HTTPHangs {
			select {
			case <-time.After(hangPause):
			case <-q.Context().Done():
				return
			}
		}
		h.ServeHTTP(w, q)
	})
}

// ahead is a clock of payments of people: that of the site, and as far ahead of it as the file says.
func (r *rehearsal) ahead(clock func() time.Time) func() time.Time {
	if r == nil {
		return clock
	}
	return func() time.Time {
		now, a := time.Now(), r.clock.Load()
		if a == nil || now.Sub(a.at) > clockFor {
			a = &aheadness{r.now().ClockAhead.Std(), now}
			r.clock.Store(a)
		}
		return clock().Add(a.by)
	}
}
