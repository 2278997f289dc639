package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"holdfast/drill"
	"holdfast/httpapi"
)

// drillRuns runs drills for operators: this very program, as "holdfast drill run", in a process group of its own that dies with the site. What a
// drill writes is bounded, it has a deadline, and when it is over nothing is left of it but its report.
type drillRuns struct {
	program string
	prefix  []string // before the arguments; for tests
	dir     string   // has the reports, and what a run works with
	log     *slog.Logger
	longest time.Duration // a run takes at most
	grace   time.Duration // to end after SIGTERM
	pipes   time.Duration // for what others hold open when the program has ended
	known   func() []httpapi.Drill

	mu      sync.Mutex
	runs    []*drillRun // the newest first
	current *drillRun   // is under way; nil: none
	closed  bool        // begins no run: not yet, or not any more
	work    sync.WaitGroup
}

var _ httpapi.Drills = (*drillRuns)(nil)

// drillRun is a run. What it says is guarded by the mutex of drillRuns.
type drillRun struct {
	httpapi.DrillRun
	end context.CancelCauseFunc
}

const (
	drillsKept   = 20
	drillLongest = 10 * time.Minute // all of them take less than half of it
	drillGrace   = 15 * time.Second // sites are given 8 s
	drillPipes   = 2 * time.Second

	// What a drill may say: of a report a few kilobytes are usual, of progress some hundred.
	maxDrillReport   = 1 << 20
	maxDrillProgress = 16 << 20
	maxDrillLine     = 64 << 10
	maxDrillRecord   = 1 << 20 // of a run that is kept
)

// Why a run is ended before it is over.
var (
	errDrillStopped = errors.New("somebody stopped it")
	errDrillLate    = errors.New("it was not over in time, and was ended")
	errDrillFlood   = errors.New("it wrote more than a drill has to say, and was ended")
	errDrillClosed  = errors.New("the site was stopped")
)

// newDrillRuns keeps the reports in a directory. It begins no run before it is opened.
func newDrillRuns(dir string, log *slog.Logger) (*drillRuns, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program, to run drills: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("find where the reports of drills are: %w", err)
	}
	return &drillRuns{
		program: program, dir: dir, log: log, longest: drillLongest, grace: drillGrace, pipes: drillPipes, known: sync.OnceValue(knownDrills), closed: true,
	}, nil
}

// open reads the reports that are kept, and removes what a run has left behind whose site was killed. No other process may have the directory any
// more. A nil drillRuns has nothing to open.
func (d *drillRuns) open() error {
	if d == nil {
		return nil
	}
	if err := os.RemoveAll(d.workIn()); err != nil {
		return fmt.Errorf("remove what a drill has left behind: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = false
	return d.load()
}

func (d *drillRuns) workIn() string { return filepath.Join(d.dir, "work") }

// knownDrills are those that can be run: all with a fleet, and the demo.
func knownDrills() (list []httpapi.Drill) {
	for _, s := range append([]drill.Scenario{drill.Demo()}, drill.Scenarios()...) {
		o := drill.Defaults()
		s.Fit(&o, func(string) bool { return false })
		x := httpapi.Drill{
			Name: s.Name, Story: s.Story, Load: int(s.Load.Seconds()), Takes: int((s.Load + aroundLoad).Seconds()),
			Sites: o.Sites, Shards: o.Shards, Carriers: o.Carriers, Bound: int(s.Bound(o.RTT).Milliseconds()),
		}
		if err := s.Missing(); err != nil {
			x.Missing = err.Error()
		}
		list = append(list, x)
	}
	return list
}

// aroundLoad is about what starting the sites, filling and proving take.
const aroundLoad = 20 * time.Second

// Known implements [httpapi.Drills].
func (d *drillRuns) Known() []httpapi.Drill { return d.known() }

// Runs implements [httpapi.Drills].
func (d *drillRuns) Runs() []httpapi.DrillRun {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]httpapi.DrillRun, len(d.runs))
	for i, r := range d.runs {
		list[i] = r.DrillRun
		list[i].Now, list[i].Lines, list[i].Checks, list[i].Report = nil, nil, nil, nil
	}
	return list
}

// Run implements [httpapi.Drills].
func (d *drillRuns) Run(id string) (httpapi.DrillRun, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.find(id)
	if r == nil {
		return httpapi.DrillRun{}, false
	}
	return r.copied(), true
}

func (d *drillRuns) find(id string) *drillRun {
	i := slices.IndexFunc(d.runs, func(r *drillRun) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return d.runs[i]
}

// copied is the run as it is: the lines are the one thing that grows in place.
func (r *drillRun) copied() httpapi.DrillRun {
	out := r.DrillRun
	out.Lines = slices.Clone(r.Lines)
	return out
}

// Stop implements [httpapi.Drills].
func (d *drillRuns) Stop(id string) (httpapi.DrillRun, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.find(id)
	if r == nil {
		return httpapi.DrillRun{}, false
	}
	if r == d.current {
		r.State = "stopping"
		r.end(errDrillStopped)
	}
	return r.copied(), true
}

// Start implements [httpapi.Drills].
func (d *drillRuns) Start(o httpapi.DrillOrder) (httpapi.DrillRun, bool, error) {
	known := d.known()
	i := slices.IndexFunc(known, func(x httpapi.Drill) bool { return x.Name == o.Drill })
	if i < 0 {
		return httpapi.DrillRun{}, false, httpapi.ErrNoDrill
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.find(o.ID.String()); r != nil {
		if r.Drill != o.Drill || r.Seed != o.Seed {
			return httpapi.DrillRun{}, false, httpapi.ErrDrillOther
		}
		return r.copied(), false, nil
	}
	switch {
	case d.closed:
		return httpapi.DrillRun{}, false, httpapi.ErrDrillsClosed
	case d.current != nil:
		return httpapi.DrillRun{}, false, httpapi.ErrDrillBusy
	case known[i].Missing != "":
		return httpapi.DrillRun{}, false, errors.New(known[i].Missing)
	}
	now := time.Now()
	r := &drillRun{DrillRun: httpapi.DrillRun{
		ID: o.ID.String(), Drill: o.Drill, Seed: o.Seed, By: o.By, State: "running", Takes: known[i].Takes, Started: stamp(now), Until: stamp(now.Add(d.longest)),
	}}
	if err := d.begin(r); err != nil {
		return httpapi.DrillRun{}, false, err
	}
	d.log.Info("a drill begins", "drill", r.Drill, "run", r.ID, "by", r.By)
	return r.copied(), true, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// begin starts the process of a run; mu is held.
func (d *drillRuns) begin(r *drillRun) error {
	ctx, end := context.WithCancelCause(context.Background())
	r.end = end
	p, err := d.spawn(r)
	if err != nil {
		end(nil)
		return errors.Join(err, os.RemoveAll(d.workIn()))
	}
	d.current, d.runs = r, slices.Insert(d.runs, 0, r)
	d.work.Go(func() {
		defer end(nil)
		text, err := d.attend(ctx, p)
		if err := clearAway(d.workIn()); err != nil {
			d.log.Error("a drill has left something behind", "run", r.ID, "err", err)
		}
		d.over(r, text, err)
	})
	return nil
}

// drillProcess is the process of a run.
type drillProcess struct {
	cmd    *exec.Cmd
	report bytes.Buffer // what it has written to standard output; no more than maxDrillReport
	words  drillWords
}

// spawn starts the program.
func (d *drillRuns) spawn(r *drillRun) (*drillProcess, error) {
	if err := os.MkdirAll(d.workIn(), 0o700); err != nil {
		return nil, fmt.Errorf("make a directory to work in: %w", err)
	}
	args := append(slices.Clone(d.prefix), "drill", "run", r.Drill)
	if r.Drill == drill.Demo().Name {
		args = append(slices.Clone(d.prefix), "demo")
	}
	args = append(args, "--seed", strconv.FormatUint(r.Seed, 10), "--json", "-", "--progress", "json")
	p := &drillProcess{cmd: exec.Command(d.program, args...)}
	p.words = drillWords{flood: func() { r.end(errDrillFlood) }, said: func(l *progressLine) { d.note(r, l) }}
	p.cmd.Env = drillEnvironment(d.workIn())
	p.cmd.Stdout = &atMost{w: &p.report, left: maxDrillReport, flood: p.words.flood}
	p.cmd.Stderr = &p.words
	p.cmd.SysProcAttr, p.cmd.WaitDelay = diesWithParent(), d.pipes
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the drill: %w", err)
	}
	return p, nil
}

// drillEnvironment is what a drill may know of this process: where programs are, and where it may write. Keys are not its affair.
func drillEnvironment(work string) []string {
	env := []string{"TMPDIR=" + work}
	for _, name := range []string{"PATH", "HOME", "LANG", "TZ", "GOMAXPROCS", "GOTRACEBACK", drill.SDKVariable, "GOCOVERDIR"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// attend waits for the end of a process, and brings it about: in order when ctx ends or when it takes too long, by force when that takes too long
// as well, or the site is stopping. It returns what the process has written.
func (d *drillRuns) attend(ctx context.Context, p *drillProcess) ([]byte, error) {
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	ctx, cancel := context.WithTimeoutCause(ctx, d.longest, errDrillLate)
	defer cancel()
	var err, why error
	select {
	case err = <-ended:
		why = context.Cause(ctx) // it has ended because of that, or at the same time
	case <-ctx.Done():
		why = context.Cause(ctx)
		if !errors.Is(why, errDrillClosed) {
			_ = p.cmd.Process.Signal(syscall.SIGTERM) // it is gone already, or it gets this
		} else {
			killGroup(p.cmd.Process.Pid)
		}
		select {
		case err = <-ended:
		case <-time.After(d.grace):
			killGroup(p.cmd.Process.Pid)
			err = <-ended
		}
	}
	killGroup(p.cmd.Process.Pid) // whoever it has left behind; no other group has this number as long as somebody is in it
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case why != nil:
		return p.report.Bytes(), why
	case err == nil, errors.Is(err, exec.ErrWaitDelay), failed && exit.ExitCode() == exitFailed && json.Valid(p.report.Bytes()):
		return p.report.Bytes(), nil
	case p.words.last() != "":
		return nil, fmt.Errorf("%w: %s", err, p.words.last())
	}
	return nil, err
}

// killGroup kills a process and those of its group. The sites of a drill have groups of their own, and die with it: see diesWithParent.
func killGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// clearAway removes a directory in which processes may be dying still.
func clearAway(dir string) (err error) {
	for range 40 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("remove what the drill has left behind: %w", err)
}

// over writes down how a run has ended.
func (d *drillRuns) over(r *drillRun, text []byte, err error) {
	report, bad := reportIn(text, r.Drill)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current = nil
	r.Ended = stamp(time.Now())
	switch {
	case bad == nil && !errors.Is(err, errDrillFlood):
		r.State, r.Report, r.Verdict = "done", report, report.Verdict
	case errors.Is(err, errDrillStopped), errors.Is(err, errDrillClosed):
		r.State, r.Why = "stopped", err.Error()
	default:
		r.State, r.Why = "broken", cut(plain(cmp.Or(err, bad).Error()), maxDrillWhy)
	}
	d.log.Info("a drill is over", "drill", r.Drill, "run", r.ID, "state", r.State, "verdict", r.Verdict, "why", r.Why)
	if err := d.keep(r); err != nil {
		d.log.Error("the report of a drill could not be kept", "run", r.ID, "err", err)
	}
}

// reportIn reads the report of a drill.
func reportIn(text []byte, name string) (*httpapi.DrillReport, error) {
	report := &httpapi.DrillReport{}
	j := json.NewDecoder(bytes.NewReader(text))
	j.DisallowUnknownFields()
	if err := j.Decode(report); err != nil {
		return nil, errors.New("it ended without a report")
	}
	if report.Scenario != name || report.Verdict != "pass" && report.Verdict != "fail" {
		return nil, errors.New("its report is not one of this drill")
	}
	report.Faults, report.Reasons = append([]httpapi.DrillFault{}, report.Faults...), append([]string{}, report.Reasons...)
	return report, nil
}

// What is kept of what a drill says, so that no run is larger than a page can show.
const (
	maxDrillWhy    = 1000
	maxDrillText   = 300
	maxDrillLines  = 200
	maxDrillRates  = 120
	maxDrillFaults = 60
	maxDrillChecks = 100
)

// note takes in a line of progress.
func (d *drillRuns) note(r *drillRun, l *progressLine) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.Now != nil {
		l.Now.Phase = cut(plain(l.Now.Phase), maxDrillText)
		l.Now.Rates, l.Now.Faults = latest(l.Now.Rates, maxDrillRates), latest(l.Now.Faults, maxDrillFaults)
		l.Now.Sites, l.Now.Carriers = latest(l.Now.Sites, drill.MaxSites+1), latest(l.Now.Carriers, drill.MaxSites)
		r.Now = l.Now
	}
	if l.Line != "" {
		r.Lines = latest(append(r.Lines, httpapi.DrillLine{At: stamp(time.Now()), Text: cut(plain(l.Line), maxDrillText)}), maxDrillLines)
	}
	if l.Checks != nil {
		r.Checks = latest(l.Checks, maxDrillChecks)
		for i := range r.Checks {
			r.Checks[i].Name, r.Checks[i].Detail = cut(plain(r.Checks[i].Name), maxDrillText), cut(plain(r.Checks[i].Detail), maxDrillWhy)
		}
	}
}

// latest is the end of a list.
func latest[T any](list []T, n int) []T { return list[max(0, len(list)-n):] }

// plain is a text in one line, without what a terminal would take for orders.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	return strings.Join(strings.Fields(text), " ")
}

// atMost passes on so many bytes, and calls flood when there are more.
type atMost struct {
	w     io.Writer
	left  int
	flood func()
}

func (a *atMost) Write(b []byte) (int, error) {
	if len(b) > a.left {
		a.flood()
		return 0, errDrillFlood
	}
	a.left -= len(b)
	return a.w.Write(b)
}

// drillWords reads what a drill says on standard error: lines of progress, and words for people of which the end is remembered.
type drillWords struct {
	flood func()
	said  func(*progressLine)

	read int
	line []byte
	long bool // the line is too long, and left out
	tail []byte
}

const drillTail = 2 << 10

func (w *drillWords) Write(b []byte) (int, error) {
	if w.read += len(b); w.read > maxDrillProgress {
		w.flood()
		return 0, errDrillFlood
	}
	for rest := b; len(rest) > 0; {
		part, after, ends := bytes.Cut(rest, []byte("\n"))
		if w.long = w.long || len(w.line)+len(part) > maxDrillLine; !w.long {
			w.line = append(w.line, part...)
		}
		if ends {
			w.take()
		}
		rest = after
	}
	return len(b), nil
}

func (w *drillWords) take() {
	line := bytes.TrimSpace(w.line)
	var l progressLine
	switch {
	case w.long || len(line) == 0:
	case line[0] == '{' && json.Unmarshal(line, &l) == nil:
		w.said(&l)
	default:
		w.tail = latest(append(append(w.tail, line...), '\n'), drillTail)
	}
	w.line, w.long = w.line[:0], false
}

// last is the end of what it has said to people. It is called when it has ended.
func (w *drillWords) last() string {
	w.tail = append(w.tail, w.line...)
	return plain(string(w.tail))
}

// keep writes a run down, and forgets the oldest when there are too many; mu is held.
func (d *drillRuns) keep(r *drillRun) error {
	text, err := json.Marshal(r.DrillRun)
	if err != nil {
		return err
	}
	file := d.fileOf(r)
	err = os.WriteFile(file+".new", text, 0o600)
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	for len(d.runs) > drillsKept {
		last := d.runs[len(d.runs)-1]
		d.runs = d.runs[:len(d.runs)-1]
		if gone := os.Remove(d.fileOf(last)); !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}

func (d *drillRuns) fileOf(r *drillRun) string { return filepath.Join(d.dir, r.ID+".json") }

// load reads the runs that are kept; mu is held. A file that is none is left alone.
func (d *drillRuns) load() error {
	files, err := filepath.Glob(filepath.Join(d.dir, "*.json"))
	if err != nil {
		return err
	}
	for _, file := range files {
		r, err := readDrillRun(file)
		if err != nil {
			d.log.Warn("a report of a drill cannot be read", "file", file, "err", err)
			continue
		}
		d.runs = append(d.runs, r)
	}
	slices.SortFunc(d.runs, func(a, b *drillRun) int { return cmp.Compare(b.Started, a.Started) })
	d.runs = d.runs[:min(len(d.runs), drillsKept)]
	return nil
}

func readDrillRun(file string) (*drillRun, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxDrillRecord+1))
	if err != nil {
		return nil, err
	}
	r := &drillRun{}
	if len(text) > maxDrillRecord {
		return nil, errors.New("it is too long")
	}
	if err := json.Unmarshal(text, &r.DrillRun); err != nil {
		return nil, err
	}
	if filepath.Base(file) != r.ID+".json" || r.Ended == "" {
		return nil, errors.New("it is no run that is over")
	}
	return r, nil
}

// close ends the run that is under way, by force, and begins no other. A nil drillRuns has none.
func (d *drillRuns) close() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.closed = true
	if d.current != nil {
		d.current.end(errDrillClosed)
	}
	d.mu.Unlock()
	d.work.Wait()
}
