package ledger

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast"
)

var rewrite = flag.Bool("rewrite", false, "write what the ledger answers into testdata/outcomes.txt")

const outcomesFile = "testdata/outcomes.txt"

// TestOutcomes runs testdata/outcomes.txt, which explains itself, three times: in memory, with every row in a segment of its
// own, and with all memory lost after every row.
func TestOutcomes(t *testing.T) {
	data, err := os.ReadFile(outcomesFile)
	must(t, err)
	for name, after := range map[string]func(*world){
		"memory":  func(*world) {},
		"seal":    func(w *world) { w.seal() },
		"restart": func(w *world) { w.seal(); w.forget(); w.restart() },
	} {
		t.Run(name, func(t *testing.T) {
			got := runScript(t, string(data), after)
			if *rewrite && name == "memory" {
				must(t, os.WriteFile(outcomesFile, []byte(got), 0o644))
				return
			}
			want := strings.Split(string(data), "\n")
			for i, line := range strings.Split(got, "\n") {
				if !*rewrite && line != want[i] {
					t.Errorf("line %d:\n got %s\nwant %s", i+1, line, want[i])
				}
			}
		})
	}
}

// TestEveryCodeHasARow: an outcome that no row shows is one that nobody has thought through.
func TestEveryCodeHasARow(t *testing.T) {
	data, err := os.ReadFile(outcomesFile)
	must(t, err)
	seen := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if _, answer, ok := strings.Cut(line, "=> "); ok {
			for _, word := range strings.Fields(answer) {
				seen[word] = true
			}
		}
	}
	for _, code := range holdfast.Codes() {
		ours := code < holdfast.CodeNoQuorum && code != holdfast.CodeShardMismatch && code != holdfast.CodeHoldAmbiguous // the ledger does not know other shards
		if ours && !seen[code.String()] {
			t.Errorf("no row of %s answers %s", outcomesFile, code)
		}
	}
}

// script runs rows and writes them down again with the answers.
type script struct {
	*world
	t     tester
	names map[string]holdfast.AccountID
	shown map[string]string
}

func runScript(t tester, text string, after func(*world)) string {
	var out strings.Builder
	var s *script
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		input, _, _ := strings.Cut(line, "=>")
		input = strings.TrimSpace(input)
		switch {
		case input == "" || strings.HasPrefix(input, "#"):
			out.WriteString(line + "\n")
			continue
		case strings.HasPrefix(input, "case "):
			s = &script{world: newWorld(t), t: t, names: map[string]holdfast.AccountID{}, shown: map[string]string{}}
			out.WriteString(line + "\n")
			continue
		case strings.HasPrefix(input, "wait "):
			s.time += holdfast.Time(s.number(strings.TrimPrefix(input, "wait ")))
			out.WriteString(line + "\n")
			continue
		}
		answer := s.row(input)
		after(s.world)
		fmt.Fprintf(&out, "%-58s => %s\n", input, answer)
	}
	return out.String()
}

// row applies one transaction and tells the outcome and what has changed.
func (s *script) row(input string) string {
	fields := strings.Fields(input)
	leader := fields[0] == "leader"
	if leader {
		fields = fields[1:]
	}
	t := holdfast.Txn{ID: s.id(fields[0])}
	for _, op := range strings.Split(strings.Join(fields[1:], " "), ";") {
		s.op(&t, strings.Fields(op))
	}
	if code, field := Check(&t); code != holdfast.CodeOK && !leader {
		return strings.TrimSpace(fmt.Sprintf("%s %s", code, field))
	}
	o := s.apply(t)[0]
	words := []string{}
	if o.Replay {
		words = append(words, "replay")
	}
	words = append(words, o.Code.String())
	if o.Leg != holdfast.NoLeg {
		words = append(words, fmt.Sprintf("@%d", o.Leg))
	}
	if o.Field != "" {
		words = append(words, o.Field)
	}
	return strings.Join(append(words, s.changes()...), " ")
}

// changes lists the accounts that look different from before.
func (s *script) changes() []string {
	words := []string{"|"}
	for _, name := range slices.Sorted(maps.Keys(s.names)) {
		a, ok := s.state.Account(s.names[name])
		if !ok {
			continue
		}
		if now := show(&a); now != s.shown[name] {
			s.shown[name] = now
			words = append(words, name+"="+now)
		}
	}
	if len(words) == 1 {
		return nil
	}
	return words
}

func show(a *holdfast.Account) string {
	text := fmt.Sprint(a.Balance())
	if a.DebitsPending != 0 {
		text += fmt.Sprintf("-%d", a.DebitsPending)
	}
	if a.CreditsPending != 0 {
		text += fmt.Sprintf("+%d", a.CreditsPending)
	}
	if a.Flags&holdfast.Frozen != 0 {
		text += "!frozen"
	}
	if a.Flags&holdfast.Closed != 0 {
		text += "!closed"
	}
	return text
}

func (s *script) op(t *holdfast.Txn, words []string) {
	if len(words) == 0 {
		return
	}
	options := s.options(&words)
	ops := map[string]holdfast.AccountOp{
		"open": holdfast.OpenAccount, "freeze": holdfast.FreezeAccount, "thaw": holdfast.ThawAccount, "close": holdfast.CloseAccount,
		"mangle": 99,
	}
	kinds := map[string]holdfast.Kind{
		"move": holdfast.Immediate, "hold": holdfast.Hold, "post": holdfast.Post, "void": holdfast.Void,
		"expire": holdfast.Expire, "juggle": 99,
	}
	switch {
	case ops[words[0]] != 0:
		t.Accounts = append(t.Accounts, s.accountChange(ops[words[0]], words[1:], options))
	case kinds[words[0]] != 0:
		t.Transfers = append(t.Transfers, s.transfer(kinds[words[0]], words[1:], options))
	default:
		s.document(t, words, options)
	}
}

// options takes the words of the form name:value out of words.
func (s *script) options(words *[]string) map[string]string {
	options := map[string]string{}
	*words = slices.DeleteFunc(*words, func(word string) bool {
		name, value, ok := strings.Cut(word, ":")
		if ok {
			options[name] = value
		}
		return ok
	})
	return options
}

func (s *script) accountChange(op holdfast.AccountOp, words []string, options map[string]string) holdfast.AccountChange {
	c := holdfast.AccountChange{Op: op, ID: s.account(words[0])}
	c.Code = uint32(s.number(options["code"]))
	c.Ref = holdfast.Ref(testID(s.number(options["ref"])))
	limits := map[string]holdfast.Limit{"debits": holdfast.LimitDebits, "credits": holdfast.LimitCredits, "bogus": 9}
	if len(words) > 1 {
		c.Limit = limits[words[1]]
	}
	return c
}

func (s *script) transfer(kind holdfast.Kind, words []string, options map[string]string) holdfast.Transfer {
	leg := holdfast.Transfer{
		Kind: kind, ID: s.id(options["as"]), Hold: s.id(options["of"]),
		Timeout: time.Duration(s.number(options["for"])), Code: uint32(s.number(options["code"])),
		Ref: holdfast.Ref(testID(s.number(options["ref"]))),
	}
	for _, word := range words {
		if debit, credit, ok := strings.Cut(word, ">"); ok {
			leg.Debit, leg.Credit = s.account(debit), s.account(credit)
		} else if word == "max" {
			leg.Amount = 1<<63 - 1
		} else {
			leg.Amount = holdfast.Amount(s.number(word))
		}
	}
	return leg
}

func (s *script) document(t *holdfast.Txn, words []string, options map[string]string) {
	version := uint64(holdfast.AnyVersion)
	if v, ok := options["version"]; ok {
		version = uint64(s.number(v))
	}
	switch words[0] {
	case "need":
		t.Preconditions = append(t.Preconditions, holdfast.Precondition{Key: words[1], Version: version})
	case "put":
		c := holdfast.RecordChange{Key: words[1], Expect: version, Body: []byte(strings.Join(words[2:], " "))}
		if index, ok := options["index"]; ok {
			c.Index = strings.Split(index, ",")
		}
		t.Records = append(t.Records, c)
	case "gate":
		var g Gates
		for slot, gate := range options {
			g.Set(holdfast.Slot(s.number(slot)), map[string]Gate{
				"marked": GateMarked, "ebbing": GateEbbing, "shut": GateShut, "gone": GateGone, "arriving": GateArriving,
			}[gate])
		}
		t.Records = append(t.Records, holdfast.RecordChange{Key: GatesKey, Expect: holdfast.AnyVersion, Body: AppendGates(nil, &g)})
	case "note":
		t.Records = append(t.Records, holdfast.RecordChange{Key: NoteKey(42), Expect: holdfast.AnyVersion, Body: []byte("note")})
	case "delete":
		c := holdfast.RecordChange{Key: words[1], Expect: version, Body: []byte(strings.Join(words[2:], " ")), Delete: true}
		t.Records = append(t.Records, c)
	case "send":
		to := holdfast.ShardID(s.number(options["to"]))
		t.Messages = append(t.Messages, holdfast.Message{To: to, Topic: words[1], Body: []byte("hello")})
	case "ack":
		t.Acks = append(t.Acks, uint64(s.number(words[1])))
	case "flood":
		t.Transfers = make([]holdfast.Transfer, holdfast.MaxLegs+1)
	default:
		s.t.Fatalf("row has the unknown operation %q", words)
	}
}

// account is the wallet of an owner of that name; a name may end in .ASSET. "?" is an account that cannot be,
// "transit" one that only the platform itself may name.
func (s *script) account(name string) holdfast.AccountID {
	if name == "?" {
		return holdfast.AccountID{Owner: 7}
	}
	if name == "transit" {
		s.names[name] = holdfast.InTransit(1, 2, holdfast.MustAsset("CNY"))
		return s.names[name]
	}
	base, asset, ok := strings.Cut(name, ".")
	if !ok {
		asset = "CNY"
	}
	slot := holdfast.Slot(42)
	if strings.HasPrefix(name, "far") {
		slot = 43
	}
	owner, err := holdfast.NewOwner(0, slot)
	must(s.t, err)
	s.names[name] = holdfast.AccountID{
		Owner: owner, Purpose: holdfast.MustPurpose(strings.ToLower(base)), Asset: holdfast.MustAsset(asset),
	}
	return s.names[name]
}

// id is that of a number; "~" before the number makes it the shadow.
func (s *script) id(text string) holdfast.ID {
	number, shadow := strings.CutPrefix(text, "~")
	if shadow {
		return testID(s.number(number)).Shadow()
	}
	return testID(s.number(text))
}

func (s *script) number(text string) int {
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	must(s.t, err)
	return n
}
