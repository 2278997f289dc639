package drill

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// machine describes where the drill ran, so that its numbers can be compared with others.
func machine(version string) []Fact {
	return []Fact{
		{"program", "holdfast " + version},
		{"cores", fmt.Sprint(runtime.NumCPU())},
		{"processor", procField("/proc/cpuinfo", "model name")},
		{"memory", procField("/proc/meminfo", "MemTotal")},
		{"system", strings.TrimSpace(runtime.GOOS + "/" + runtime.GOARCH + " " + readLine("/proc/sys/kernel/osrelease"))},
		{"compiler", runtime.Version()},
		{"when", time.Now().UTC().Format(time.RFC3339)},
	}
}

// FreeCores is how many cores nobody made use of while it looked, for a third of a second: where a load has to fit in, those of others count
// as gone. Half of all is the least that it says, since the sites go before others where they may, and all where the system does not tell.
func FreeCores() float64 {
	const look = 300 * time.Millisecond
	before, told := idleTime(readLine(statFile))
	began := time.Now()
	time.Sleep(look)
	after, _ := idleTime(readLine(statFile))
	all := float64(cores())
	if !told {
		return all
	}
	return min(max(float64(after-before)/float64(time.Since(began)), all/2), all)
}

const (
	statFile = "/proc/stat"
	// statTick is what the kernel counts processor time in there, on every architecture.
	statTick = 10 * time.Millisecond
)

// idleTime takes the time in which processors had nothing to do out of the text of /proc/stat: the fourth and the fifth number of the
// first line.
func idleTime(text string) (idle time.Duration, told bool) {
	first, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(first)
	if len(fields) < 6 || fields[0] != "cpu" {
		return 0, false
	}
	for _, field := range fields[4:6] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, false
		}
		idle += time.Duration(n) * statTick
	}
	return idle, true
}

// procField reads "name : value" from a file of the kernel; "unknown" where there is none.
func procField(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func readLine(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
