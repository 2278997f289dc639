package site

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast"
	"holdfast/fault"
)

// TestWhatWasLedIsKnownAfterARestart, and forgotten with a reason when the file is not what was written.
func TestWhatWasLedIsKnownAfterARestart(t *testing.T) {
	f := &fleet{t: t, net: fault.NewNet(time.Millisecond), configs: map[holdfast.SiteID]Config{}, sites: map[holdfast.SiteID]*Site{}}
	f.configure(1, 1, 1)
	var log bytes.Buffer
	f.edit = func(_ holdfast.SiteID, o *Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	}
	t.Cleanup(func() {
		f.stop(1)
		_ = f.net.Close()
	})
	s := f.start(1)
	peak := func() float64 { return f.site(1).forecasts.own.Load().peak }
	if peak() != 0 {
		t.Errorf("a new site was measured to lead %v", peak())
	}
	a, b := account(t, 1, 10), account(t, 2, 20)
	f.mustDo(s, f.open(a, b))
	eventually(t, "something was measured", func() bool {
		f.mustDo(s, f.pay(a, b, 1))
		return peak() > 0
	})
	f.stop(1)
	measured := s.forecasts.own.Load().peak
	f.start(1)
	if peak() < measured-0.1 {
		t.Errorf("after a start %v, measured were %v", peak(), measured)
	}
	f.stop(1)
	const forgotten = "measured to lead is forgotten"
	if strings.Contains(log.String(), forgotten) {
		t.Errorf("warned: %s", &log)
	}
	if err := os.WriteFile(filepath.Join(f.configs[1].Data, peakFile), []byte("holdfast peak 1\nper_s 1e9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.start(1)
	if peak() != 0 {
		t.Errorf("with a file that nobody has written: %v", peak())
	}
	f.stop(1)
	if !strings.Contains(log.String(), forgotten) || !strings.Contains(log.String(), "per_s 1e9") {
		t.Errorf("with a file that nobody has written: %s", &log)
	}
}

func TestPeakFile(t *testing.T) {
	good := peakText(1234.56)
	for _, row := range []struct {
		text string
		want float64
		err  string
	}{
		{good, 1234.6, ""},
		{peakText(0.25), 0.2, ""},
		{"", 0, "PEAK says \"\""},
		{good[:len(good)-3], 0, "which nobody has written"},
		{strings.Replace(good, "1234", "9234", 1), 0, "which nobody has written"},
		{good + "more", 0, "which nobody has written"},
		{strings.Replace(good, "peak 1", "peak 2", 1), 0, "PEAK says"},
		{peakText(-1), 0, "which nobody has written"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, peakFile), []byte(row.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readPeak(dir)
		if got != row.want || (err == nil) != (row.err == "") || !strings.Contains(fmt.Sprint(err), row.err) {
			t.Errorf("%q: %v, %v; want %v, %q", row.text, got, err, row.want, row.err)
		}
	}
	if got, err := readPeak(t.TempDir()); got != 0 || err != nil {
		t.Errorf("no file: %v, %v", got, err)
	}
}
