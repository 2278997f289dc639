package site

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// peakFile is what a site was measured to lead at most, beside its data. Forecasts hold the load that a loss would bring against it, and without
// the file a site that was started again would seem to be able to carry nothing until it has been under load once more.
const peakFile = "PEAK"

const (
	// peakEvery is how often it is written at most: a site that is killed has forgotten the growth of as long.
	peakEvery = time.Minute
	// peakGrowth is by which factor it has to have grown for that.
	peakGrowth = 1.02
	// peakWait is how long a site that stops waits for the disk to take it.
	peakWait = time.Second
)

// peakKeeper writes the file. stored belongs to its goroutine.
type peakKeeper struct {
	done   sync.WaitGroup
	stored float64
}

// recallPeak reads the file. One that cannot be read is no reason not to start: what is in it can be measured again.
func (s *Site) recallPeak() float64 {
	peak, err := readPeak(s.cfg.Data)
	if err != nil {
		s.log.Warn("what this site was measured to lead is forgotten: forecasts count from nothing", "err", err)
	}
	s.forecasts.peak.stored = peak
	return peak
}

// keepPeak writes the file now and then while the peak grows, and at the end.
func (s *Site) keepPeak(ctx context.Context) {
	ticker := time.NewTicker(peakEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.storePeak(peakGrowth)
		case <-ctx.Done():
			s.storePeak(1)
			return
		}
	}
}

func (s *Site) storePeak(growth float64) {
	k := &s.forecasts.peak
	peak := s.forecasts.own.Load().peak
	if peak <= k.stored*growth {
		return
	}
	if err := writeDurably(filepath.Join(s.cfg.Data, peakFile), peakText(peak)); err != nil {
		s.log.Warn("what this site was measured to lead cannot be stored: forecasts will not know it after the next start", "err", err)
		return
	}
	k.stored = peak
}

// wait returns when the file is written, or with an error when a disk that hangs would keep the site from stopping.
func (k *peakKeeper) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, peakWait)
	defer cancel()
	written := make(chan struct{})
	go func() { // ends with the write that it waits for
		k.done.Wait()
		close(written)
	}()
	select {
	case <-written:
		return nil
	case <-ctx.Done():
		return errors.New("the disk has not taken what this site was measured to lead")
	}
}

// peakText is the file: a version, the number, and the CRC-32C of both lines.
func peakText(peak float64) string {
	text := fmt.Sprintf("holdfast peak 1\nper_s %.1f\n", peak)
	return fmt.Sprintf("%scrc32c %08x\n", text, crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)))
}

// readPeak is 0 where there is no file, as in a new directory; and with an error where it is not what was written.
func readPeak(dir string) (peak float64, err error) {
	text, err := os.ReadFile(filepath.Join(dir, peakFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(string(text), "holdfast peak 1\nper_s %f\n", &peak); err != nil {
		return 0, fmt.Errorf("%s says %.100q: %w", peakFile, oneLine(string(text)), err)
	}
	if math.IsNaN(peak) || math.IsInf(peak, 0) || peak < 0 || peakText(peak) != string(text) {
		return 0, fmt.Errorf("%s says %.100q, which nobody has written there", peakFile, oneLine(string(text)))
	}
	return peak, nil
}
