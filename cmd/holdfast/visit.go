package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"holdfast/drill"
)

const (
	// visitWait is how long the demo waits for somebody to sign in before it begins to break things; visitStay how long its fleet stays afterwards at most.
	visitWait = time.Minute
	visitStay = time.Hour
	// visitAsk is how often it is looked whether somebody has.
	visitAsk = 300 * time.Millisecond
)

// visit shows a fleet in a browser, while it is being cut and afterwards. It waits for people where there are some: at a terminal.
type visit struct {
	w     io.Writer
	view  shower
	print func(*drill.Evidence) // what was proved
	show  func(ctx context.Context, address string) error
	enter <-chan struct{} // somebody presses Enter; nil: nobody is at a terminal

	printed bool
}

// newVisit reads the terminal, if there is one.
func newVisit(cmd *cobra.Command) *visit {
	v := &visit{w: cmd.ErrOrStderr(), show: openBrowser}
	if f, ok := cmd.InOrStdin().(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		v.enter = lines(f)
	}
	return v
}

// lines tells of each line, if somebody waits for it just then. Whoever reads a terminal cannot be stopped: it ends with the program.
func lines(r io.Reader) <-chan struct{} {
	c := make(chan struct{})
	go func() {
		defer close(c)
		for s := bufio.NewScanner(r); s.Scan(); {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}()
	return c
}

func (v *visit) visitors() *drill.Visitors { return &drill.Visitors{Come: v.come, Stay: v.stay} }

// come opens the console, and waits until somebody has signed in, presses Enter, or does not come.
func (v *visit) come(ctx context.Context, d drill.Door) error {
	address := d.Site + "/sign-in?" + url.Values{"as": {"operator"}, "to": {"/console"}}.Encode()
	v.aside("The console of the fleet: %s\n  sign in as %s, password %s\n", address, d.Login, d.Password)
	if err := v.show(ctx, address); err != nil {
		v.aside("No browser could be opened (%v): open it yourself.\n", err)
	}
	if v.enter == nil {
		return nil
	}
	v.aside("Waiting until you have signed in, for %v at most; Enter begins at once.\n", visitWait)
	wait, cancel := context.WithTimeout(ctx, visitWait)
	defer cancel()
	for {
		select {
		case <-v.enter:
			return nil
		case <-wait.Done():
			return ctx.Err()
		case <-time.After(visitAsk):
		}
		if in, err := d.Visited(wait); err == nil && in {
			return nil
		}
	}
}

// stay tells what was proved, and lets people look until they press Enter or Ctrl-C.
func (v *visit) stay(ctx context.Context, d drill.Door, e *drill.Evidence) {
	if v.enter == nil {
		return
	}
	v.view.close()
	v.print(e)
	v.printed = true
	fmt.Fprintf(v.w, "\nThe fleet is still there: %s/console (%s, password %s). Enter ends it.\n", d.Site, d.Login, d.Password)
	wait, cancel := context.WithTimeout(ctx, visitStay)
	defer cancel()
	select {
	case <-v.enter:
	case <-wait.Done():
	}
}

func (v *visit) aside(format string, args ...any) { v.view.aside(fmt.Sprintf(format, args...)) }

// errNoScreen says why no browser is tried.
var errNoScreen = errors.New("this session has no screen")

// browserTime is how long a browser may take to say that it cannot be opened.
const browserTime = 3 * time.Second

// openBrowser opens an address in the user's browser. A browser that stays in the foreground is left alone.
func openBrowser(ctx context.Context, address string) error {
	program := "xdg-open"
	switch {
	case runtime.GOOS == "darwin":
		program = "open"
	case os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" && os.Getenv("BROWSER") == "":
		return errNoScreen // one that draws on this terminal would be in the way
	}
	c := exec.Command(program, address)
	if err := c.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(browserTime):
	case <-ctx.Done():
	}
	return nil
}
