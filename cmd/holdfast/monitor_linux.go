package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// monitorSlack is how much later than it asks the kernel may wake the monitor of the Go runtime.
//
// The monitor is a thread that looks after the others: it takes the processor from who keeps it for 10 ms, or is in a system call. It looks
// every 20 us from the moment that anything runs, and a process that does a little thousands of times a second wakes it each time. In a
// drill of eight shards that took a sixth of all processor time, more than consensus; with this slack, a third of that.
const monitorSlack = "2000000" // ns

// easeMonitor lets the monitor sleep longer. It is the thread that the runtime makes first, and the kernel lists threads in the order in
// which they were made; another one would only have its timers a little late. It takes root or CAP_SYS_NICE.
func easeMonitor() error {
	dir, err := os.Open("/proc/self/task")
	if err != nil {
		return fmt.Errorf("list the threads of this process: %w", err)
	}
	defer dir.Close()
	threads, err := dir.Readdirnames(0)
	if err != nil {
		return fmt.Errorf("list the threads of this process: %w", err)
	}
	if len(threads) < 2 || threads[0] != strconv.Itoa(os.Getpid()) {
		return errors.New("the monitor of the runtime is not where it should be")
	}
	// Of a thread there is such a file under its own number only.
	if err := os.WriteFile("/proc/"+threads[1]+"/timerslack_ns", []byte(monitorSlack), 0); err != nil {
		return fmt.Errorf("let the monitor of the runtime sleep longer: %w", err)
	}
	return nil
}
