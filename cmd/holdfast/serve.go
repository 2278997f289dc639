package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"holdfast/guard"
	"holdfast/httpapi"
	"holdfast/proof"
	"holdfast/site"
)

type serveFlags struct {
	data, listen, config string
	rehearse             string
	print                bool
	sandbox, replay      bool
	sandboxFile          string
	sites                int
}

func newServe() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a site: alone with embedded storage, or as one of a fleet with --config",
		Long: `Run a site. Without --config it is a fleet of one with embedded storage: everything it knows is in the data
directory, it makes an API key when it first starts, and shows it that once.

With --config it is one of the sites of a fleet. The file is strict: a field nobody knows, or a value that makes no
sense, stops the start. --print-config shows every field with its explanation and the value it has; with --sites 3 it is that
of the first of three sites with 8 shards, to be edited for each of them.

A site of a fleet that finds damage in what it has stored takes no part any more; as soon as a majority of the others proves that it has
everything, it wipes its own copy and rebuilds itself from them, under a new identity. When the store cannot even be opened, it does
not start, says which directory it is, and deletes nothing: with other sites running, move the directory aside and start again. A
site that is alone keeps its data and needs its directory from a backup.

--sandbox is for merchants' developers: it also makes an example merchant with an app and its keys, two customers with money and a phone
that shows payment codes, and a test bank, a process of its own. FILE (--sandbox-file; DIR/sandbox/sandbox.json if it is not given) says where everything is: "holdfast sandbox
pay" makes a first signed payment with it. What an earlier start has made is there again. So that there is something to see, a street of shops and
customers replays recorded orders in it: two days before anybody looks, with their settlements, and then a few orders a second, for some two hours in all.
--replay=false leaves it quiet.

--rehearse is for drills: while FILE (TOML) says write_delay = "150ms", every write to the disk takes that much longer, and while it says
http_hangs = true, requests are taken and not answered; clock_ahead = "30h" lets payments of people, settlements above all, believe
that it is the next day. It may come, change and go at any time. Without the flag there is nothing of
it; with it the log says so when the site starts.

SIGTERM or Ctrl-C stop it in order: leaderships are handed over, what is under way is finished.`,
		Example: `  holdfast serve
  holdfast serve --sandbox
  holdfast serve --data /tmp/books --listen 127.0.0.1:9090
  holdfast serve --print-config
  holdfast serve --print-config --sites 3
  holdfast serve --config hangzhou.toml`,
		Args: nothing,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd, &f) },
	}
	cmd.Flags().StringVar(&f.data, "data", "holdfast-data", "`DIR` that holds everything the site stores")
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "`ADDR` of the HTTP API")
	cmd.Flags().StringVar(&f.config, "config", "", "TOML `FILE` that configures the site")
	cmd.Flags().BoolVar(&f.sandbox, "sandbox", false, "also make an example merchant, customers and a test bank, for developers")
	cmd.Flags().BoolVar(&f.replay, "replay", true, "with --sandbox: let customers buy from merchants all the time, as recorded orders say")
	cmd.Flags().StringVar(&f.sandboxFile, "sandbox-file", "", "write what a developer has to know of the sandbox to `FILE`")
	cmd.Flags().StringVar(&f.rehearse, "rehearse", "", "make the trouble that `FILE` describes, for drills: never in production")
	cmd.Flags().IntVar(&f.sites, "sites", 1, "with --print-config: for the first of `N` sites")
	cmd.Flags().BoolVar(&f.print, "print-config", false, "print the configuration, with the explanation of every field, and end")
	return cmd
}

func serve(cmd *cobra.Command, f *serveFlags) error {
	cfg, first, err := f.configuration(cmd)
	if err != nil {
		return err
	}
	if f.print {
		return site.Print(cmd.OutOrStdout(), cfg)
	}
	s := &server{cfg: cfg, log: newLogger(cmd.ErrOrStderr(), cfg.Log), fatal: make(chan error, 1)}
	if s.trouble, err = newRehearsal(f.rehearse, s.log); err != nil {
		return err
	}
	box, err := f.openSandbox(cmd.Context(), &s.cfg, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer box.close()
	s.box = box
	return s.run(cmd.Context(), func(took time.Duration) error {
		if err := first.store(cfg.Data); err != nil {
			return err
		}
		made, err := box.fill(cmd.Context(), "http://"+s.cfg.HTTP.Listen)
		if err != nil {
			return err
		}
		greet(cmd.OutOrStdout(), s, first, f.config == "" && box == nil, took)
		if box != nil {
			greetSandbox(cmd.OutOrStdout(), box.file, &made, box.alive != nil)
		}
		return nil
	})
}

// configuration is that of the file, or that of an embedded site; then the API key comes with it when it is new.
func (f *serveFlags) configuration(cmd *cobra.Command) (site.Config, *firstKey, error) {
	if f.sites != 1 && (!f.print || f.config != "" || f.sites < 2 || f.sites > site.MaxPeers+1) {
		return site.Config{}, nil, badUsage(cmd, fmt.Errorf("--sites %d: 2 to %d, with --print-config and without --config", f.sites, site.MaxPeers+1))
	}
	if !site.ListenAddress(f.listen) {
		return site.Config{}, nil, badUsage(cmd, fmt.Errorf("--listen %.100q: give host:port, for example 127.0.0.1:8080", f.listen))
	}
	if (f.sandbox || f.sandboxFile != "") && (f.config != "" || f.print) || f.sandboxFile != "" && !f.sandbox {
		return site.Config{}, nil, badUsage(cmd, errors.New("--sandbox is for a site without --config, and --sandbox-file goes with it"))
	}
	if cmd.Flags().Changed("replay") && !f.sandbox {
		return site.Config{}, nil, badUsage(cmd, errors.New("--replay goes with --sandbox"))
	}
	if f.sites > 1 {
		return site.Example(f.data, f.sites), nil, nil
	}
	if f.config == "" {
		cfg := site.Embedded(f.data, f.listen)
		cfg.Log.Level = "warn" // for a person at a terminal
		if f.print {
			return cfg, nil, nil
		}
		first, err := embeddedKey(&cfg)
		if err == nil {
			cfg.Payments.Keys, err = embeddedPaymentKeys(f.data)
		}
		return cfg, first, err
	}
	for _, other := range []string{"data", "listen"} {
		if cmd.Flags().Changed(other) {
			return site.Config{}, nil, badUsage(cmd, fmt.Errorf("--%s and --config exclude each other: the file says it", other))
		}
	}
	cfg, err := site.Load(f.config)
	return cfg, nil, err
}

const keyFile = "api-keys.toml"

// firstKey is an API key that a site has made for itself, and that is neither stored nor shown yet. A nil one is none: the
// site has its keys already.
type firstKey struct {
	key    guard.Key
	secret guard.Secret
}

// embeddedKey gives the site the API keys in its data directory, and makes the first.
func embeddedKey(cfg *site.Config) (*firstKey, error) {
	file := filepath.Join(cfg.Data, keyFile)
	text, err := os.ReadFile(file)
	if err == nil {
		stored, err := site.Decode(file, text)
		cfg.Keys = stored.Keys
		return nil, err
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read the API keys: %w", err)
	}
	key, secret, err := newAPIKey("local", guard.Operator)
	if err != nil {
		return nil, err
	}
	cfg.Keys = []site.APIKey{{Name: key.Name, Role: key.Role, SHA256: key.Hash}}
	return &firstKey{key, secret}, nil
}

// store writes the hash of the key into the data directory. It happens when the site is ready and the secret is about to be
// shown, not before: a start that fails would leave a hash behind whose secret nobody has ever seen.
func (k *firstKey) store(dir string) error {
	if k == nil {
		return nil
	}
	const head = "# Who may use this site. holdfast key NAME makes a section to add here; delete the file for a new first key.\n"
	file := filepath.Join(dir, keyFile)
	if err := os.WriteFile(file+".new", []byte(head+keySection(k.key)), 0o600); err != nil {
		return fmt.Errorf("store the API key: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("store the API key: %w", err)
	}
	return nil
}

func greet(w io.Writer, s *server, first *firstKey, embedded bool, took time.Duration) {
	cfg, url := &s.cfg, "http://"+s.cfg.HTTP.Listen
	fmt.Fprintf(w, "Holdfast %s, site %d (%s), takes payments at %s since %d ms after its start.\n\n", versionOf().Version, cfg.Site, cfg.Name, url, took.Milliseconds())
	if first != nil {
		fmt.Fprintf(w, "  Your API key, shown this once:\n\n    export %s=%s\n\n", keyVariable, first.secret.Reveal())
	}
	if !embedded {
		return
	}
	fmt.Fprintf(w, "  Everything it knows is in %s.\n", cfg.Data)
	fmt.Fprintf(w, "  Console                 %s/console\n  API and how to use it   %s/docs\n  Metrics                 %s/metrics\n\n", url, url, url)
	fmt.Fprintf(w, `  Try it in another terminal:

    bank=2088000000010000.bank.CNY alice=2088000000020108.wallet.CNY
    api() { curl -sS -H "Authorization: Bearer $%s" -H 'Content-Type: application/json' "$@"; echo; }
    api %s/v1/accounts -d '{"id":"'$bank'","limit":"none"}'
    api %s/v1/accounts -d '{"id":"'$alice'","limit":"debits"}'
    api %s/v1/transfers -H 'Idempotency-Key: top-up-1' -d '{"debit":"'$bank'","credit":"'$alice'","amount":10000}'
    api %s/v1/accounts/$alice

  Ctrl-C stops it.
`, keyVariable, url, url, url, url)
}

func newLogger(w io.Writer, l site.Log) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		level = slog.LevelInfo // the configuration has been checked: it has one of the four names
	}
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// server is the process of one site: the site and its HTTP API.
type server struct {
	cfg   site.Config
	log   *slog.Logger
	fatal chan error
	site  *site.Site
	port  net.Listener
	http  *http.Server
	done  chan error // the end of the HTTP server

	trouble  *rehearsal
	box      *box      // nil: it is no sandbox
	payments *payments // nil: there are none
	receipts receiptKey
	pages    *pages
	drills   *drillRuns // nil: none are run here
}

// run is the life of the process, in order. ready is called once requests are taken, with how long that took; its error ends
// the process.
func (s *server) run(ctx context.Context, ready func(took time.Duration) error) error {
	began := time.Now()

	// The processors first: what follows competes for them with everything else on the machine.
	s.hurry()

	// Before anything is loaded: the collector would let a site of millions of accounts take twice what they need.
	collect(loadingGarbage)

	// The port first: one that is taken is the commonest mistake, and should not cost a recovery. Links to this site have it in them.
	if err := s.bind(); err != nil {
		return err
	}

	// Then the parts are made: a configuration that cannot work stops the start before anything is opened.
	if err := s.make(); err != nil {
		return errors.Join(err, s.port.Close())
	}

	// Requests are answered from here on: /livez and /readyz tell about a start that takes long.
	s.listen()

	// Then the site: disk, links, replicas. It returns when this site has found its place in the fleet.
	if err := s.startSite(ctx); err != nil {
		return errors.Join(err, s.closeHTTP(context.Background()))
	}

	s.openReceipts()
	// The data directory is this process's alone from here on, and with it what drills have left there.
	if err := s.drills.open(); err != nil {
		s.log.Error("drills are not run here", "err", err)
	}

	// What people pay with works in the background too. It asks the site, and waits when that has no majority.
	s.payments.start()

	// Wait until requests would be answered, until told to stop, or until something happens that must not be survived.
	unready := make(chan error, 1)
	go s.awaitReady(ctx, func() {
		var heap runtime.MemStats
		runtime.ReadMemStats(&heap)
		collect(garbagePercent(heap.HeapAlloc))
		if err := ready(time.Since(began)); err != nil {
			unready <- err
		}
	})
	var end error
	select {
	case <-ctx.Done():
		s.log.Info("told to stop")
	case end = <-s.fatal:
		return fmt.Errorf("the site must not go on: %w", end) // nothing in order any more: the disk cannot be trusted
	case end = <-unready:
	case end = <-s.done:
	}

	// Stop in reverse, but for one thing: the site stops before the HTTP server, so that callers are told "not executed,
	// stopping" and go on to the next site, instead of meeting a closed port with their answer in it.
	s.box.quiet()
	stop, cancel := context.WithTimeout(context.Background(), s.cfg.Timing.Stop.Std()+time.Second)
	defer cancel()
	s.drills.close()
	s.payments.close()
	s.pages.End()
	defer s.pages.close()
	defer s.payments.closePages()
	return errors.Join(end, s.site.Stop(stop), s.closeHTTP(stop))
}

// startSite starts the site, and gives up on a start that does not come to an end: because the disk has failed meanwhile, or because this
// process was told to stop. The engine may then wait for ever for a disk that is full; the end of the process ends that too.
func (s *server) startSite(ctx context.Context) error {
	started := make(chan error, 1)
	go func() { started <- s.site.Start(ctx) }()
	select {
	case err := <-started:
		return err
	case end := <-s.fatal:
		return fmt.Errorf("the site must not go on: %w", end)
	case <-ctx.Done():
	}
	select {
	case err := <-started:
		return err // nil: it is stopped in order
	case end := <-s.fatal:
		return fmt.Errorf("the site must not go on: %w", end)
	case <-time.After(s.cfg.Timing.Stop.Std()):
		return fmt.Errorf("told to stop while starting, and the start did not end within %v: %w", s.cfg.Timing.Stop, context.Cause(ctx))
	}
}

// openReceipts makes ready what signs receipts of payments: it needs the certificate, which is read by now.
func (s *server) openReceipts() {
	if err := s.receipts.open(&s.cfg, s.site); err != nil {
		s.log.Error("receipts of payments are not signed here", "err", err)
	}
}

// hurry asks for the priority of the configuration. Not to get it is no reason to stop.
func (s *server) hurry() {
	nice := s.cfg.Process.Nice
	if nice == 0 || len(s.cfg.Peers) == 0 {
		return
	}
	if err := setNice(nice); err != nil {
		s.log.Info("the priority of this process stays as it was: [process] nice asks for one", "nice", nice, "reason", err)
	}
	if err := easeMonitor(); err != nil {
		s.log.Debug("the monitor of the runtime looks as often as ever", "reason", err)
	}
}

// Garbage that may gather before the collector runs, in percent of what is in use: while accounts are loaded, and within what
// bounds afterwards. Accounts hold no pointers, so that looking at them again costs the collector little.
const (
	loadingGarbage = 35
	mostGarbage    = 100
	leastGarbage   = 25
	garbageBytes   = 512 << 20 // what gathers at most, as long as the percentage is within its bounds
)

// garbagePercent is the percentage for a heap with so much in use.
func garbagePercent(used uint64) int {
	return int(min(max(garbageBytes*100/max(1, used), leastGarbage), mostGarbage))
}

// collect sets the percentage, unless whoever started the process has chosen one.
func collect(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

func (s *server) make() (err error) {
	s.site, err = site.Open(s.cfg, site.Options{
		Version: versionOf().Version,
		Logger:  s.log,
		OnFatal: func(err error) { s.fatal <- err },
		OnWrite: s.trouble.wrote,
	})
	if err != nil {
		return err
	}
	if s.payments, err = newPayments(&s.cfg, s.site, s.log, s.box.now(s.trouble.ahead(s.site.Time))); err != nil {
		return err
	}
	options := httpapi.Options{
		Keys: s.cfg.GuardKeys(), Logger: s.log, Registry: s.site.Registry(), Version: versionOf().Version,
		Deadline: s.cfg.Timing.Request.Std(), Signer: s.signer, Receipts: s.receipts.signer.Load,
	}
	if s.payments != nil {
		options.Payments = s.payments.api
	}
	if s.cfg.Drills.Enable {
		if s.drills, err = newDrillRuns(filepath.Join(s.cfg.Data, "drills"), s.log); err != nil {
			return err
		}
		options.Drills = s.drills
	}
	api := httpapi.New(s.site, options)
	if s.pages, err = newPages(&s.cfg, s.site, api, s.log); err != nil {
		return err
	}
	proxies := httpapi.Proxies{Networks: s.cfg.Console.Proxies(), Header: s.cfg.Console.ProxyHeader}
	s.http = httpapi.NewServer(s.trouble.over(proxies.Before(s.pages.over(s.payments.over(api)))), s.log)
	return nil
}

// signer is the site's own key, once it has been read.
func (s *server) signer() proof.Signer {
	if c := s.site.Signer(); c != nil {
		return c
	}
	return nil
}

func (s *server) bind() error {
	l, err := net.Listen("tcp", s.cfg.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("listen for HTTP (is another site running here? --listen or [http] listen chooses another port): %w", err)
	}
	s.cfg.HTTP.Listen = l.Addr().String() // port 0 has become a real one
	s.port = l
	return nil
}

func (s *server) listen() {
	s.done = make(chan error, 1)
	go func() { s.done <- s.http.Serve(s.port) }()
}

// awaitReady calls then when the site hears a majority, unless the process ends before.
func (s *server) awaitReady(ctx context.Context, then func()) {
	const pause = 5 * time.Millisecond
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for s.site.Ready() != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
	then()
}

// closeHTTP lets requests end, and stops taking them at once when ctx ends.
func (s *server) closeHTTP(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("requests were still under way at the end: %w", err), s.http.Close())
	}
	if err := <-s.done; !slices.Contains([]error{nil, http.ErrServerClosed}, err) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}
