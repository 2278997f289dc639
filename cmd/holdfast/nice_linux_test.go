package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNiceIsThatOfEveryThread runs in a process of its own, because a priority that was lowered may not be raised again.
func TestNiceIsThatOfEveryThread(t *testing.T) {
	if os.Getenv("HOLDFAST_TEST_NICE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNiceIsThatOfEveryThread$")
		cmd.Env = append(os.Environ(), "HOLDFAST_TEST_NICE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	const want = 7
	park := make(chan struct{})
	defer close(park)
	parked := make(chan struct{})
	spawn := func() {
		go func() { runtime.LockOSThread(); parked <- struct{}{}; <-park }()
		<-parked
	}
	for range 5 {
		spawn()
	}
	if err := setNice(want); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		spawn() // threads that did not exist then
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil || len(threads) < 10 {
		t.Fatalf("%d threads, %v", len(threads), err)
	}
	for _, thread := range threads {
		id, _ := strconv.Atoi(thread.Name())
		got, err := unix.Getpriority(unix.PRIO_PROCESS, id)
		if errors.Is(err, unix.ESRCH) {
			continue // it has ended meanwhile
		}
		if err != nil || got != 20-want { // the system call counts from 20 down
			t.Errorf("thread %d has priority %d, %v; want %d", id, got, err, 20-want)
		}
	}
}
