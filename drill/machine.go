package drill

import (
	"fmt"
	"os"
	"runtime"
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
