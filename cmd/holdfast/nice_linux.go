package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// niceLooks in a row have to find nothing, nicePause apart: a thread that is being made by one that had not been set yet has the old priority, and is
// not listed until it is there.
const (
	niceLooks = 10
	nicePause = 2 * time.Millisecond
)

// setNice gives this process a scheduling priority, -20 (first) to 19 (last). Linux keeps it per thread, and a new thread has that of
// the one that made it: all that exist are set, until looks find no other.
func setNice(nice int) error {
	for quiet := 0; quiet < niceLooks; quiet++ {
		changed, err := niceThreads(nice)
		if err != nil {
			return err
		}
		if changed {
			quiet = 0
		}
		time.Sleep(nicePause)
	}
	return nil
}

// niceThreads sets the priority of all threads that are listed, and reports whether one had another.
func niceThreads(nice int) (changed bool, err error) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return false, fmt.Errorf("list the threads of this process: %w", err)
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if now, err := unix.Getpriority(unix.PRIO_PROCESS, id); err != nil || now == 20-nice { // the system call counts from 20 down
			continue // it is so already, or has ended
		}
		changed = true
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, nice); err != nil && !errors.Is(err, unix.ESRCH) {
			return false, fmt.Errorf("set the scheduling priority: %w", err)
		}
	}
	return changed, nil
}
