package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"holdfast/drill"
)

// memory of a process in bytes: what is resident, and the most that ever was. Zeros where the system does not tell.
type memory struct{ resident, peak int64 }

func memoryOf(pid int) (m memory) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		f := bytes.Fields(lines.Bytes())
		if len(f) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(string(f[1]), 10, 64) // what is no number is none of the two
		switch string(f[0]) {
		case "VmRSS:":
			m.resident = kib << 10
		case "VmHWM:":
			m.peak = kib << 10
		}
	}
	return m
}

// processorOf is the processor time a process has used, which depends less than the time on the wall on what else the machine
// does; 0 where the system does not tell.
func processorOf(pid int) time.Duration {
	const perSecond = 100 // of the clock that Linux shows to programs
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	f := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // the name before it may hold anything
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(string(f[11]), 10, 64)
	system, _ := strconv.ParseInt(string(f[12]), 10, 64)
	return time.Duration(user+system) * time.Second / perSecond
}

// work is the processor time that the sites of a fleet and this process had used at some moment.
type work struct {
	fleet       *drill.Bare
	sites, self time.Duration
}

func workOf(fleet *drill.Bare) (w work) {
	w.fleet, w.self = fleet, processorOf(os.Getpid())
	for _, used := range processorOfAll(fleet) {
		w.sites += used
	}
	return w
}

// per is what has been used since, in microseconds for each of n payments: by all sites together, and by the load generator.
func (w work) per(n int) map[string]float64 {
	now, each := workOf(w.fleet), func(d time.Duration) float64 { return math.Round(d.Seconds() * 1e6 / float64(max(1, n))) }
	return map[string]float64{"sites": each(now.sites - w.sites), "load_generator": each(now.self - w.self)}
}

// syncTimes is how long it takes now to have 4 KiB on the disk: what no payment can be faster than. It tells one disk from another, and a quiet one from
// one that others use.
func syncTimes(dir string) (map[string]float64, error) {
	const size, writes = 4 << 10, 100
	f, err := os.CreateTemp(dir, "holdfast-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _, _ = f.Close(), os.Remove(f.Name()) }()
	var took times
	block := make([]byte, size)
	for i := range writes {
		if _, err := f.WriteAt(block, int64(i)*size); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	p50, p99 := took.quantiles()
	return map[string]float64{"p50": p50, "p99": p99}, nil
}

// others is how many processes have wanted to run over the last minute, ours included; "" where the system does not tell.
func others() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

func mib(n int64) int64 { return n >> 20 }

// needSpace refuses when a directory has less free space than a bench is going to use.
func needSpace(dir string, bytes int64) error {
	if dir == "" {
		dir = os.TempDir()
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("free space of %s: %w", dir, err)
	}
	if free := int64(st.Bavail) * int64(st.Bsize); free < bytes {
		return fmt.Errorf("%s has %.1f GB free, and this bench needs %.1f GB: choose another with --dir, or a smaller number",
			dir, float64(free)/1e9, float64(bytes)/1e9)
	}
	return nil
}

// sizeOf is how many bytes the files under a directory occupy.
func sizeOf(dir string) (bytes int64, err error) {
	err = eachFile(dir, func(path string) error {
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			return nil //nolint:nilerr // deleted meanwhile
		}
		bytes += st.Blocks * 512
		return nil
	})
	return bytes, err
}

func eachFile(dir string, do func(path string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		return do(path)
	})
}
