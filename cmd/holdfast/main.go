// Command holdfast is the whole platform in one program: a site, and everything that tries, measures and proves it.
//
// Results go to standard output, progress to standard error. The exit status is 0 when all is good, 1 when what was checked
// has failed, and 2 when the command line makes no sense.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"holdfast/client"
)

// version is set when the program is linked (see the Makefile).
var version = "unknown"

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// Exit statuses, a contract with scripts.
const (
	exitGood   = 0
	exitFailed = 1 // what was checked has failed, or could not be done
	exitUsage  = 2 // the command line makes no sense
)

// run is main without the process: an ordered list.
func run(args []string, out, errs io.Writer) int {
	// Signals first, so that nothing that is started below can be orphaned by an early Ctrl-C. The first one asks to stop; a
	// second one kills, because NotifyContext gives the signal back once it has been heard.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	// The commands, and the one that was asked for.
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)

	// One place says what went wrong, and one place turns it into a status.
	return report(err, errs)
}

func report(err error, errs io.Writer) int {
	switch {
	case err == nil:
		return exitGood
	case errors.Is(err, errFailed):
		return exitFailed // the results say why
	}
	fmt.Fprintln(errs, "holdfast:", err)
	if usage, ok := errors.AsType[*usageError](err); ok {
		fmt.Fprintf(errs, "See: %s --help\n", usage.command)
		return exitUsage
	}
	if errors.Is(err, client.ErrNobody) {
		fmt.Fprintf(errs, "Is the site running? holdfast serve starts one; --site URL or %s names another.\n", siteVariable)
	}
	return exitFailed
}

// errFailed is the error of a check that was carried out, told its results, and has failed.
var errFailed = errors.New("failed")

// usageError is a command line that makes no sense.
type usageError struct {
	command string
	err     error
}

func (u *usageError) Error() string { return u.err.Error() }

func (u *usageError) Unwrap() error { return u.err }
