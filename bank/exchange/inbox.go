package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/bank"
	"holdfast/bank/files"
	"holdfast/bank/iso20022"
	"holdfast/bank/wire"
)

const (
	lookEvery = time.Second // into the inbox at most
	growing   = time.Minute // a file that cannot be read may still be growing for so long
	// entriesBits of the number of a deposit are its place in the statement, the rest is the statement's.
	entriesBits = 20
)

// unreadable is why a file is set aside. Other errors are ours: the file stays where it is.
type unreadable struct{ why string }

func (e unreadable) Error() string { return e.why }

// take takes what the bank has put into the inbox: each file once, whole, and it is remembered before the file is moved away, so that a crash in between
// has it taken again, without harm. One that cannot be taken is set aside, with a text beside it that says why. The lock is held.
func (c *Connector) take() error {
	c.mu.Lock()
	now := c.config.Now()
	soon := now.Sub(c.looked) < lookEvery && !now.Before(c.looked)
	if !soon {
		c.looked = now
	}
	c.mu.Unlock()
	if soon {
		return nil
	}
	list, err := os.ReadDir(c.config.Inbox)
	if err != nil {
		return fmt.Errorf("the bank's files: %w", err)
	}
	for _, f := range list {
		name := f.Name()
		if !f.Type().IsRegular() || strings.HasPrefix(name, ".") {
			continue
		}
		switch strings.ToLower(filepath.Ext(name)) {
		case ".xml":
			err = c.takeFile(name)
		case ".txt":
			err = unreadable{"it is a text, which people have to read"}
		default:
			continue // on its way, under another name
		}
		why, set := errors.AsType[unreadable](err)
		switch {
		case set && c.grows(f.Name()):
		case set:
			err = c.setAside(name, why.why)
		}
		if err != nil && !set {
			return fmt.Errorf("a file of the bank: %s", plain(err))
		}
	}
	return nil
}

func (c *Connector) grows(name string) bool {
	info, err := os.Stat(filepath.Join(c.config.Inbox, name))
	return err == nil && c.config.Now().Sub(info.ModTime()) < growing
}

func (c *Connector) setAside(name, why string) error {
	to, err := free(c.path(bad), name)
	if err != nil {
		return err
	}
	if err := files.Write(to+".why.txt", []byte(why+"\n")); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(c.config.Inbox, name), to); err != nil {
		return err
	}
	c.config.Aside(filepath.Base(to), why)
	return nil
}

// free is a path in a directory for a file with this name: with a number, when there is one already.
func free(dir, name string) (string, error) {
	path, base := filepath.Join(dir, name), strings.TrimSuffix(name, filepath.Ext(name))
	for n := 2; ; n++ {
		taken, err := there(path)
		if err != nil || !taken {
			return path, err
		}
		path = filepath.Join(dir, base+"-"+strconv.Itoa(n)+filepath.Ext(name))
	}
}

// finish moves a file that was taken.
func (c *Connector) finish(name string) error {
	to, err := free(c.path(done), name)
	if err != nil {
		return err
	}
	return os.Rename(filepath.Join(c.config.Inbox, name), to)
}

func (c *Connector) takeFile(name string) error {
	file, err := os.Open(filepath.Join(c.config.Inbox, name))
	if err != nil {
		return err
	}
	defer file.Close()
	space, err := spaceOf(file)
	if err != nil {
		return unreadable{"it is no XML document: " + err.Error()}
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	switch message := space[strings.LastIndexByte(space, ':')+1:]; message {
	case iso20022.Pacs002:
		return c.takeStatuses(name, file, iso20022.ReadStatusReport)
	case iso20022.Pain002:
		return c.takeStatuses(name, file, iso20022.ReadCustomerReport)
	case iso20022.Camt053:
		return c.takeStatement(name, file)
	default:
		return unreadable{fmt.Sprintf("it is a message %.60q, and only %s, %s and %s are taken", message, iso20022.Pacs002, iso20022.Pain002, iso20022.Camt053)}
	}
}

// spaceOf is the namespace of the outermost element.
func spaceOf(r io.Reader) (string, error) {
	d := xml.NewDecoder(io.LimitReader(r, 1<<16))
	for {
		t, err := d.Token()
		if err != nil {
			return "", err
		}
		if e, ok := t.(xml.StartElement); ok {
			return e.Name.Space, nil
		}
	}
}

// takeStatuses keeps what a pacs.002 or pain.002 says about orders.
func (c *Connector) takeStatuses(name string, r io.Reader, read func(io.Reader) (*iso20022.StatusReport, error)) error {
	doc, err := read(r)
	if err != nil {
		return unreadable{err.Error()}
	}
	ids := map[string]bool{}
	for i := range doc.Body.Transactions {
		ids[doc.Body.Transactions[i].EndToEnd] = false
	}
	if len(ids) == 0 { // about a message as a whole: its id is that of its one order
		for i := range doc.Body.Group {
			ids[doc.Body.Group[i].MessageID] = true
		}
	}
	var wrong []string
	for id, whole := range ids {
		a := wire.Answer(doc, id, whole)
		if whole && a.State == bank.Unknown && doc.Body.Group[0].Status != "" && doc.Body.Group[0].Status != iso20022.StatusRejected {
			a.State = bank.Pending // of a message as a whole a bank says at most that it can carry it out
		}
		why, err := c.keep(id, a, name)
		if err != nil {
			return err
		}
		if why != "" {
			wrong = append(wrong, fmt.Sprintf("%.40q: %s", id, why))
		}
	}
	if len(ids) == 0 {
		wrong = append(wrong, "it is about no order")
	}
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return unreadable{strings.Join(wrong, "\n")}
	}
	return c.finish(name)
}

// keep keeps what was said about one order. why it was not: people have to look.
func (c *Connector) keep(id string, a bank.Answer, file string) (why string, err error) {
	if !nameable(id) {
		return "it is no id of ours", nil
	}
	known, err := there(c.ofOrder(sent, id))
	if err != nil {
		return "", err
	}
	before, found, err := c.answer(id)
	next := said{a.State, a.Reason, a.Ref, a.At, file}
	switch {
	case err != nil:
		return "", err
	case !known:
		return "no such order was handed over", nil
	case a.State == bank.Conflict:
		return "the bank says that it has another payment under this id", nil
	case a.State == bank.Unknown || a.State == bank.NeverHeard:
		return "it does not say what became of the order: " + a.Detail, nil
	case found && before.final() && next.final() && before.State != next.State:
		return fmt.Sprintf("it says %s, and the bank has said %s before, in %.60q", next.State, before.State, before.File), nil
	case found && before.final(), found && !next.final() && before.At > next.At:
		return "", nil // older than what is known
	}
	text, err := json.Marshal(next)
	if err != nil {
		return "", err
	}
	path := c.ofOrder(answers, id)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return "", files.Write(path, text)
}

// statementName is what a statement is found by: its number in the order in which they came, its day and a hash of its account, which is not shown.
func statementName(n uint64, day time.Time, account string) string {
	return fmt.Sprintf("%08d-%s-%s.xml", n, day.Format(time.DateOnly), accountHash(account))
}

func accountHash(account string) string {
	sum := sha256.Sum256([]byte(account))
	return hex.EncodeToString(sum[:6])
}

// kept is a statement that was taken.
type kept struct {
	n    uint64
	rest string // day and hash of the account
	name string
}

func (c *Connector) kept() (list []kept, err error) {
	entries, err := os.ReadDir(c.path(statements))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		number, rest, ok := strings.Cut(strings.TrimSuffix(e.Name(), ".xml"), "-")
		n, err := strconv.ParseUint(number, 10, 32)
		if ok && err == nil && strings.HasSuffix(e.Name(), ".xml") {
			list = append(list, kept{n, rest, e.Name()})
		}
	}
	slices.SortFunc(list, func(a, b kept) int { return int(a.n) - int(b.n) })
	return list, nil
}

func restOf(day time.Time, account string) string {
	_, rest, _ := strings.Cut(strings.TrimSuffix(statementName(0, day, account), ".xml"), "-")
	return rest
}

// takeStatement keeps a camt.053, after it was read to its end.
func (c *Connector) takeStatement(name string, r io.Reader) error {
	items, head, err := wire.StatementItems(r)
	if err != nil {
		return unreadable{err.Error()}
	}
	for _, err := range items {
		if err != nil {
			return unreadable{err.Error()}
		}
	}
	day := head.Day.Std().UTC()
	switch {
	case len(c.config.Accounts) > 0 && !slices.Contains(c.config.Accounts, head.Account):
		return unreadable{"it is the statement of an account that is not the platform's"}
	case head.Interim:
		return unreadable{"it is the statement of a day that was not over, and the final one is waited for"}
	case head.Count >= 1<<entriesBits:
		return unreadable{fmt.Sprintf("it has %d entries, and fewer than %d can be taken", head.Count, 1<<entriesBits)}
	}
	list, err := c.kept()
	if err != nil {
		return err
	}
	next := uint64(1)
	for _, k := range list {
		next = max(next, k.n+1)
		if k.rest != restOf(day, head.Account.Reveal()) {
			continue
		}
		same, err := sameFiles(c.path(statements, k.name), filepath.Join(c.config.Inbox, name))
		switch {
		case err != nil:
			return err
		case same:
			return c.finish(name)
		}
		return unreadable{"there is another statement of this account and day, " + k.name + ": find out from the bank which is right, and put that one in its place"}
	}
	return os.Rename(filepath.Join(c.config.Inbox, name), c.path(statements, statementName(next, day, head.Account.Reveal())))
}

func sameFiles(a, b string) (bool, error) {
	x, err := hashFile(a)
	if err != nil {
		return false, err
	}
	y, err := hashFile(b)
	return x == y, err
}

func hashFile(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	h.Sum(sum[:0])
	return sum, err
}

// Statement opens the statement of an account and a day that has come; the caller closes it.
func (c *Connector) Statement(ctx context.Context, account bank.Account, day time.Time) (io.ReadCloser, error) {
	list, err := c.looking(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range list {
		if k.rest == restOf(day, account.Reveal()) {
			return os.Open(c.path(statements, k.name))
		}
	}
	return nil, fmt.Errorf("%w: no file of %s has come", bank.ErrNoStatement, day.Format(time.DateOnly))
}

// looking looks into the inbox, and lists what statements there are.
func (c *Connector) looking(ctx context.Context) ([]kept, error) {
	unlock, err := c.open(ctx)
	if err != nil {
		return nil, errors.New(plain(err))
	}
	defer unlock()
	if err := c.take(); err != nil {
		return nil, err
	}
	return c.kept()
}

// Deposits implements bank.Deposits by the statements that have come, in the order in which they did.
func (c *Connector) Deposits(ctx context.Context, account bank.Account, after uint64, most int) (list []bank.Deposit, next uint64, err error) {
	all, err := c.looking(ctx)
	if err != nil {
		return nil, after, err
	}
	next = after
	for _, k := range all {
		if k.n < after>>entriesBits || !strings.HasSuffix(k.rest, "-"+accountHash(account.Reveal())) {
			continue
		}
		if len(list) == most {
			return list, next, nil
		}
		got, whole, err := c.depositsOf(k, after, most-len(list))
		if err != nil {
			return nil, after, fmt.Errorf("the statement %s: %w", k.name, err)
		}
		list = append(list, got...)
		if n := len(got); n > 0 {
			next = got[n-1].Seq
		}
		if whole {
			next = max(next, (k.n+1)<<entriesBits-1) // nothing more comes from it
		}
	}
	return list, next, nil
}

// depositsOf lists what came in by one statement, after a number; whole is true when that is all of it.
func (c *Connector) depositsOf(k kept, after uint64, most int) (list []bank.Deposit, whole bool, err error) {
	if after >= (k.n+1)<<entriesBits-1 {
		return nil, true, nil
	}
	file, err := os.Open(c.path(statements, k.name))
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	r, err := iso20022.NewStatementReader(file)
	if err == nil {
		_, err = r.Next()
	}
	if err != nil {
		return nil, false, err
	}
	seq := k.n << entriesBits
	for l, err := range r.Lines() {
		if err != nil {
			return nil, false, err
		}
		seq++
		if l.Amount <= 0 || seq <= after {
			continue
		}
		if len(list) == most {
			return list, false, nil
		}
		d := bank.Deposit{Seq: seq, Ref: l.BankRef, EndToEnd: l.EndToEnd, Amount: l.Amount, Asset: l.Asset, Text: l.Text}
		if d.Ref == "" {
			d.Ref = fmt.Sprintf("%d-%d", k.n, seq&(1<<entriesBits-1)) // the bank has given none: where it stands
		}
		if l.Other != "" {
			if d.From, err = bank.ParseAccount(l.Other); err != nil {
				return nil, false, err
			}
		}
		list = append(list, d)
	}
	return list, true, nil
}
