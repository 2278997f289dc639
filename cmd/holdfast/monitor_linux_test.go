package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestOneThreadSleepsLonger asks for exactly one thread whose timers may be late: if it were that which serves payments, they would wait.
func TestOneThreadSleepsLonger(t *testing.T) {
	before := slackOf(t)
	switch err := easeMonitor(); {
	case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES):
		t.Skip("it takes root or CAP_SYS_NICE")
	case err != nil:
		t.Fatal(err)
	}
	var changed []string
	for thread, slack := range slackOf(t) {
		if was, there := before[thread]; there && was != slack {
			changed = append(changed, thread)
			if slack != monitorSlack {
				t.Errorf("thread %s may be late by %s ns, want %s", thread, slack, monitorSlack)
			}
		}
	}
	if len(changed) != 1 {
		t.Errorf("threads %v were changed, want one", changed)
	}
	if self := filepath.Base(readLink(t, "/proc/thread-self")); slices.Contains(changed, self) {
		t.Errorf("thread %s runs Go code", self)
	}
}

func readLink(t *testing.T, name string) string {
	t.Helper()
	to, err := os.Readlink(name)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// slackOf reads how late the timers of each thread may be, those aside that end meanwhile.
func slackOf(t *testing.T) map[string]string {
	t.Helper()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, thread := range threads {
		if text, err := os.ReadFile("/proc/" + thread.Name() + "/timerslack_ns"); err == nil {
			all[thread.Name()] = strings.TrimSpace(string(text))
		}
	}
	return all
}
