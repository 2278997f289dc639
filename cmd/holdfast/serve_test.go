package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// The first API key is shown by the first start that succeeds, however many failed before, and by no start after it.
func TestTheFirstKeyIsShown(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	dir := filepath.Join(t.TempDir(), "data")
	out, err := exec.CommandContext(ctx, "holdfast", "serve", "--data", dir, "--listen", taken.Addr().String()).CombinedOutput()
	if err == nil {
		t.Fatalf("served on a port that is taken:\n%s", out)
	}
	if _, err := os.Stat(filepath.Join(dir, keyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a start that failed left a key that nobody has seen: %v\n%s", err, out)
	}
	var first string
	for start, shown := range []bool{true, false} {
		text := serveOnce(ctx, t, dir)
		if m := keyLine.FindString(text); (m != "") != shown {
			t.Fatalf("start %d: a key is shown: %v, want %v\n%s", start, m != "", shown, text)
		}
		hash, err := os.ReadFile(filepath.Join(dir, keyFile))
		if err != nil || start > 0 && string(hash) != first {
			t.Errorf("start %d: %v, the stored key was\n%s\nand is\n%s", start, err, first, hash)
		}
		first = string(hash)
	}
}

// serveOnce runs a site until it is ready and stops it, and gives what it said.
func serveOnce(ctx context.Context, t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, "holdfast", "serve", "--data", dir, "--listen", "127.0.0.1:0")
	heard := newListener("Ctrl-C stops it")
	cmd.Stdout, cmd.Stderr = heard, heard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-heard.done:
	case <-ctx.Done():
		t.Errorf("the site was not ready:\n%s", heard)
	}
	if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
		t.Errorf("%v\n%s", err, heard)
	}
	return heard.String()
}

func TestGarbageIsBounded(t *testing.T) {
	for used, want := range map[uint64]int{
		0: 100, 100 << 20: 100, 512 << 20: 100, 1 << 30: 50, 1536 << 20: 33, 2 << 30: 25, 100 << 30: 25,
	} {
		if got := garbagePercent(used); got != want {
			t.Errorf("with %d MiB in use: %d percent, want %d", used>>20, got, want)
		}
	}
}
