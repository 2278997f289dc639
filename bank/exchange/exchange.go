// Package exchange speaks with a bank through directories: pain.001 out, one file an order; pacs.002 or pain.002, and camt.053, in. How the files travel between
// them and the bank (SFTP, EBICS, a mail of the bank's own) is not its business.
//
// What must not happen is that an order lies in two files. Nothing but the directory can tell whether a file was written, since whoever wrote it may
// have died before he could say so: so what was handed over is known by the directory itself, and all sites that may speak with the bank have
// to use the same one.
package exchange

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/files"
	"holdfast/bank/iso20022"
)

// Config says where files are exchanged.
type Config struct {
	// Dir is the platform's own: what is on its way, what was handed over, what came of it, statements, and what could not be read. It has to
	// be there, and on the file system of the other two.
	Dir string
	// Outbox is where the bank takes files from, and removes them; "": out in Dir. Inbox is where it puts them, by renaming, or whole;
	// "": in in Dir.
	Outbox, Inbox string
	Accounts      []bank.Account // the platform's, of which statements are taken
	Initiator     string         // our name in messages, 1-140 characters
	BIC           string         // the bank's; "" where it needs none
	Terms         bank.Terms     // as agreed with the bank; Late also bounds how late a site may hand an order over
	// Claim is told the number of the directory before it is used, and reports as an error that the platform uses another one; nil: any will do.
	Claim func(ctx context.Context, number int64) error
	// Aside is told of each file that was set aside, and why; nil: nobody.
	Aside func(file, why string)
	Now   func() time.Time // nil: the machine's clock
}

// Connector is a bank behind directories. It implements bank.Connector and bank.Deposits. Any number of them, in any number of processes, may use the same
// directory at once.
type Connector struct {
	config Config
	turn   chan struct{} // whoever is in it may take the lock: in one process nobody has to try again and again

	mu      sync.Mutex
	looked  time.Time // into the inbox
	claimed int64     // the number of the directory that is known to be right
}

var (
	_ bank.Connector = (*Connector)(nil)
	_ bank.Deposits  = (*Connector)(nil)
)

// Directories within Config.Dir.
const (
	staged     = "staged"     // messages that are not handed over yet
	sent       = "sent"       // what was, or is about to be: one small file an order, with a hash of it
	answers    = "answers"    // what the bank has said, one small file an order
	statements = "statements" // in the order in which they came
	done       = "done"       // files of the bank that were taken
	bad        = "bad"        // files that could not be, each with a text that says why
	lockFile   = "lock"
	numberFile = "number" // which directory this is
)

// New makes a connector. Nothing is read or written before it is asked for something: a site starts although the directory is not mounted.
func New(c Config) (*Connector, error) {
	if c.Dir == "" {
		return nil, errors.New("the directory for the exchange of files is not given")
	}
	if c.Outbox == "" {
		c.Outbox = filepath.Join(c.Dir, "out")
	}
	if c.Inbox == "" {
		c.Inbox = filepath.Join(c.Dir, "in")
	}
	if filepath.Clean(c.Inbox) == filepath.Clean(c.Outbox) {
		return nil, errors.New("the bank takes files from the directory in which it puts its own: give it two")
	}
	if err := iso20022.CheckText(c.Initiator, iso20022.MaxText); err != nil {
		return nil, fmt.Errorf("our name in messages to the bank: %w", err)
	}
	if c.Terms.Late <= 0 {
		return nil, errors.New("the bank's cut-off for late messages is not given: without it nobody can tell when a message is lost")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Aside == nil {
		c.Aside = func(string, string) {}
	}
	if c.Claim == nil {
		c.Claim = func(context.Context, int64) error { return nil }
	}
	return &Connector{config: c, turn: make(chan struct{}, 1)}, nil
}

// Terms implements bank.Connector.
func (c *Connector) Terms() bank.Terms { return c.config.Terms }

func (c *Connector) path(parts ...string) string {
	return filepath.Join(append([]string{c.config.Dir}, parts...)...)
}

// open takes the lock of the directory, and makes sure that it is the right one. close gives it back.
func (c *Connector) open(ctx context.Context) (close func(), err error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	unlock, err := c.locked(ctx)
	if err != nil {
		<-c.turn
		return nil, err
	}
	return func() { unlock(); <-c.turn }, nil
}

func (c *Connector) locked(ctx context.Context) (unlock func(), err error) {
	if _, err := os.Stat(c.config.Dir); err != nil {
		return nil, fmt.Errorf("the directory for the exchange of files: %w: is it mounted?", err)
	}
	for _, name := range []string{staged, sent, answers, statements, done, bad} {
		if err := os.MkdirAll(c.path(name), 0o700); err != nil {
			return nil, fmt.Errorf("make the directories for the exchange of files: %w", err)
		}
	}
	for _, dir := range []string{c.config.Outbox, c.config.Inbox} {
		if filepath.Dir(dir) == filepath.Clean(c.config.Dir) {
			if err := os.MkdirAll(dir, 0o770); err != nil {
				return nil, fmt.Errorf("make the directories for the exchange of files: %w", err)
			}
		}
	}
	f, err := os.OpenFile(c.path(lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the exchange of files: %w", err)
	}
	for {
		taken, err := lock(f)
		if err == nil && taken {
			break
		}
		if err == nil {
			err = wait(ctx, 20*time.Millisecond)
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock the exchange of files: %w", err)
		}
	}
	if err := c.claim(ctx); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil // closing is what unlocks
}

// claim makes sure that this is the directory that the platform uses; that is asked once, and again when it is another one than before.
func (c *Connector) claim(ctx context.Context) error {
	number, err := c.number()
	if err != nil {
		return err
	}
	c.mu.Lock()
	known := c.claimed == number
	c.mu.Unlock()
	if known {
		return nil
	}
	if err := c.config.Claim(ctx, number); err != nil {
		return err
	}
	c.mu.Lock()
	c.claimed = number
	c.mu.Unlock()
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// number is that of the directory, which is made up when it is first used.
func (c *Connector) number() (int64, error) {
	text, err := os.ReadFile(c.path(numberFile))
	if errors.Is(err, fs.ErrNotExist) {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return 0, err
		}
		n := int64(binary.BigEndian.Uint64(b[:])>>1) | 1
		return n, files.Write(c.path(numberFile), []byte(strconv.FormatInt(n, 10)+"\n"))
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: it is not the number of a directory: restore it from a copy", c.path(numberFile))
	}
	return n, nil
}

// ofOrder is the path of a small file about an order. There are many: they are spread over directories.
func (c *Connector) ofOrder(kind, id string) string {
	sum := sha256.Sum256([]byte(id))
	return c.path(kind, hex.EncodeToString(sum[:1]), id)
}

// nameable checks that an id can be the name of a file; those of this platform are letters and digits.
func nameable(id string) bool {
	return id != "" && len(id) <= iso20022.MaxID && strings.Trim(id, "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

func there(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Send implements bank.Connector: it hands the order over, once and for ever. It is Pending as soon as its file lies where the bank takes it.
func (c *Connector) Send(ctx context.Context, i *bank.Instruction) bank.Answer {
	a, err := c.send(ctx, i)
	if err != nil {
		return bank.Answer{Detail: plain(err)}
	}
	return a
}

// send takes three steps, each whole or not at all: the message is written aside; the order is noted as handed over; the message is renamed into the outbox.
// So one that is noted, and whose message is not aside any more, has been handed over, whoever did it and whatever became of him; anything else
// has not been.
func (c *Connector) send(ctx context.Context, i *bank.Instruction) (a bank.Answer, err error) {
	if !nameable(i.ID) {
		return a, errors.New("the id of the order cannot be the name of a file")
	}
	unlock, err := c.open(ctx)
	if err != nil {
		return a, err
	}
	defer unlock()
	message, note := c.path(staged, i.ID+".xml"), c.ofOrder(sent, i.ID)
	aside, err := there(message)
	if err != nil {
		return a, err
	}
	noted, err := os.ReadFile(note)
	switch known := err == nil; {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return a, err
	case known && string(noted) != hashOf(i):
		return bank.Answer{State: bank.Conflict, Alive: true}, nil
	case known && !aside:
		return c.handed(i.ID)
	}
	if now := c.config.Now(); now.After(i.Sent.Std().Add(c.config.Terms.Late)) {
		return bank.Answer{Alive: true, Detail: "the order was to be handed over long ago: it may have been given back since"}, nil
	}
	if err := c.stage(message, i); err != nil {
		return a, err
	}
	if err := os.MkdirAll(filepath.Dir(note), 0o700); err != nil {
		return a, err
	}
	if err := files.Write(note, []byte(hashOf(i))); err != nil {
		return a, err
	}
	if err := os.Rename(message, filepath.Join(c.config.Outbox, i.ID+".xml")); err != nil {
		return a, err
	}
	return bank.Answer{State: bank.Pending, Alive: true}, errors.Join(syncDir(c.config.Outbox), syncDir(c.path(staged)))
}

func (c *Connector) stage(path string, i *bank.Instruction) error {
	doc, err := iso20022.NewInitiation(i.ID, c.config.Initiator, c.config.BIC, i.Sent.Std().UTC(), i.Order())
	if err != nil {
		return err
	}
	text, err := doc.Encode()
	if err != nil {
		return err
	}
	return files.Write(path, text)
}

// hashOf is the order without what may change from attempt to attempt, and without showing it.
func hashOf(i *bank.Instruction) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d\x00%s\x00%s", i.ID, i.Amount, i.Asset, i.From.Reveal(), i.To.Reveal()))
	return hex.EncodeToString(sum[:]) + "\n"
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// handed is what is known of an order that was handed over.
func (c *Connector) handed(id string) (bank.Answer, error) {
	v, found, err := c.answer(id)
	if err != nil || found {
		return v.answer(), err
	}
	return bank.Answer{State: bank.Pending, Alive: true}, nil
}

// Ask implements bank.Connector. That the bank has never heard of an order is said of one that was not handed over, at the time of this site: none is
// handed over later than the cut-off after it was written down.
func (c *Connector) Ask(ctx context.Context, id string) bank.Answer {
	a, err := c.ask(ctx, id)
	if err != nil {
		return bank.Answer{Detail: plain(err)}
	}
	return a
}

func (c *Connector) ask(ctx context.Context, id string) (a bank.Answer, err error) {
	if !nameable(id) {
		return a, errors.New("the id of the order cannot be the name of a file")
	}
	unlock, err := c.open(ctx)
	if err != nil {
		return a, err
	}
	defer unlock()
	if err := c.take(); err != nil {
		return a, err
	}
	noted, err := there(c.ofOrder(sent, id))
	if err != nil {
		return a, err
	}
	aside, err := there(c.path(staged, id+".xml"))
	if err != nil || noted && !aside {
		if err != nil {
			return a, err
		}
		return c.handed(id)
	}
	return bank.Answer{State: bank.NeverHeard, Alive: true, At: holdfast.TimeOf(c.config.Now())}, nil
}

// plain is an error without the numbers and names in paths.
func plain(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Op + ": " + p.Err.Error()
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		return l.Op + ": " + l.Err.Error()
	}
	return err.Error()
}

// said is what the bank has said about an order, as it is kept.
type said struct {
	State  bank.State    `json:"state"`
	Reason string        `json:"reason,omitempty"`
	Ref    string        `json:"ref,omitempty"`
	At     holdfast.Time `json:"at"` // by the bank's clock
	File   string        `json:"file"`
}

func (v *said) answer() bank.Answer {
	return bank.Answer{State: v.State, Reason: v.Reason, Ref: v.Ref, At: v.At, Alive: true}
}

func (v *said) final() bool { return v.State == bank.Done || v.State == bank.Rejected }

func (c *Connector) answer(id string) (v said, found bool, err error) {
	text, err := os.ReadFile(c.ofOrder(answers, id))
	if errors.Is(err, fs.ErrNotExist) {
		return v, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	return v, err == nil, err
}
