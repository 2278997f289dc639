package signin_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/guard"
	"holdfast/pay"
	"holdfast/pay/paytest"
	"holdfast/signin"
	"holdfast/signin/signintest"
)

const (
	alicePhone = "+8613900000001"
	aliceMail  = "Alice.Wang@example.com"
	good       = "seven rivers of tea"
	other      = "nine mountains of rice"
	origin     = "https://pay.example"
)

// hall is a porter on books in memory, with a customer and two merchants.
type hall struct {
	*signin.Porter
	t       *testing.T
	ctx     context.Context
	cfg     signin.Config
	books   *paytest.Books
	cashier *pay.Cashier
	alice   holdfast.Owner
	tea     holdfast.Owner
	rice    holdfast.Owner
	now     holdfast.Time
	seeds   byte
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func owner(sequence uint32) (holdfast.Owner, error) {
	return holdfast.NewOwner(sequence, holdfast.Slot(sequence%holdfast.Slots))
}

func newHall(t *testing.T) *hall {
	t.Helper()
	h := &hall{
		t: t, ctx: t.Context(), books: paytest.New(3), alice: must(owner(2)), tea: must(owner(1)), rice: must(owner(4)),
		now: holdfast.TimeOf(time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)),
	}
	h.cashier = must(pay.New(pay.Config{
		Books: h.books, AliasKey: make([]byte, 32), CodeKey: make([]byte, 32), Bank: must(owner(99)), OwnerOf: owner, Day: time.UTC,
		Zone: func(string) (*time.Location, error) { return time.UTC, nil },
	}))
	must(h.cashier.RegisterCustomer(h.ctx, pay.CustomerAsk{Owner: h.alice, Aliases: []string{alicePhone, aliceMail}}, h.now))
	for _, o := range []holdfast.Owner{h.tea, h.rice} {
		must(h.cashier.RegisterMerchant(h.ctx, pay.MerchantAsk{Owner: o, Name: "Tea House", Zone: "UTC", Assets: []holdfast.Asset{holdfast.MustAsset("CNY")}}, h.now))
	}
	h.cfg = signin.Config{
		Books: h.books, Payments: h.cashier, Platform: must(owner(0)), Key: bytes.Repeat([]byte{7}, 32), Hashing: signin.Hashing{Memory: 8, Passes: 1, Threads: 1},
		Passkeys: signin.Passkeys{RP: "pay.example", Name: "Holdfast", Origins: []string{origin}}, Strangers: pay.NewTries(maphash.MakeSeed(), signin.PersonTries, signin.PersonEvery),
	}
	h.Porter = must(signin.New(h.cfg))
	return h
}

// elsewhere is the porter of another site.
func (h *hall) elsewhere() *signin.Porter { return must(signin.New(h.cfg)) }

func (h *hall) seed() signin.Seed {
	h.seeds++
	return signin.Seed{h.seeds}
}

func (h *hall) later(d time.Duration) { h.now += holdfast.Time(d) }

func (h *hall) need(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *hall) refused(want pay.Code, err error) {
	h.t.Helper()
	var r *pay.Refusal
	if !errors.As(err, &r) || r.Code != want {
		h.t.Errorf("%v, want the refusal %s", err, want)
	}
}

func (h *hall) tooSoon(want time.Duration, err error) {
	h.t.Helper()
	var soon *signin.TooSoon
	if !errors.As(err, &soon) || !soon.Tries || soon.Wait != want {
		h.t.Errorf("%v, want to wait for %v", err, want)
	}
}

// accept lets a customer choose a password.
func (h *hall) accept(password string) signin.Signed {
	h.t.Helper()
	token, _, err := h.InviteCustomer(h.ctx, h.alice, h.seed(), h.now)
	h.need(err)
	s, err := h.Accept(h.ctx, token, alicePhone, password, signin.How{}, h.seed(), h.now)
	h.need(err)
	return s
}

func (h *hall) in(password string, how signin.How) (signin.Signed, error) {
	return h.SignIn(h.ctx, signin.Customer, "139 0000 0001", password, how, h.seed(), h.now)
}

func (h *hall) stands(s *signin.Signed, want bool) {
	h.t.Helper()
	for _, p := range []*signin.Porter{h.Porter, h.elsewhere()} {
		found, ok, err := p.Check(h.ctx, s.Token, h.now)
		if h.need(err); ok != want || ok && (found.ID != s.ID || found.Who != s.Who) {
			h.t.Errorf("the session stands: %t %+v, want %t", ok, found, want)
		}
	}
}

func only[T any](_ T, err error) error { return err }

func TestPasswordsThatMayBeChosen(t *testing.T) {
	h := newHall(t)
	token, _, err := h.InviteCustomer(h.ctx, h.alice, h.seed(), h.now)
	h.need(err)
	for _, row := range []struct {
		password string
		want     pay.Code
	}{
		{"teatime", signin.PasswordShort},
		{"茶茶茶茶茶茶茶", signin.PasswordShort}, // characters, not bytes
		{strings.Repeat("tea ", 33), signin.PasswordLong},
		{"password1", signin.PasswordCommon},
		{"PassWord1", signin.PasswordCommon},
		{"woaini1314", signin.PasswordCommon},
		{"qqqqqqqqqqqqqqqqq", signin.PasswordCommon},
		{"23456789:;<=", signin.PasswordCommon},
		{"tea\x00time in spring", pay.FieldInvalid},
		{alicePhone, signin.PasswordOwn},
		{"13900000001", signin.PasswordOwn},
		{"139-0000-0001", signin.PasswordOwn},
		{"13900000001!a", signin.PasswordOwn},
		{"a8613900000001", signin.PasswordOwn},
		{"alice.wang@EXAMPLE.com", signin.PasswordOwn},
		{"holdfast1", signin.PasswordOwn},
	} {
		s, err := h.Accept(h.ctx, token, "", row.password, signin.How{}, h.seed(), h.now)
		if h.refused(row.want, err); s.Token != "" || strings.Contains(fmt.Sprint(err), row.password) {
			t.Errorf("%q: %+v %v", row.password, s, err)
		}
	}
	_, err = h.Accept(h.ctx, token, aliceMail, "alice.wang123", signin.How{}, h.seed(), h.now)
	h.refused(signin.PasswordOwn, err) // with the address in plain text its name is known
	h.refused(signin.LoginWrong, only(h.Accept(h.ctx, token, "+8613900000009", good, signin.How{}, h.seed(), h.now)))
	h.need(only(h.Accept(h.ctx, token, aliceMail, "über alle Berge", signin.How{}, h.seed(), h.now)))
	h.need(only(h.in("u\u0308ber alle Berge", signin.How{}))) // the same to whoever reads it

	p := must(h.AddStaff(h.ctx, signin.StaffAsk{Merchant: h.tea, Login: "lina@tea.example", Name: "Li Na", Right: signin.Look}, h.now))
	token, _, err = h.Invite(h.ctx, p.Who, h.seed(), h.now)
	h.need(err)
	h.refused(signin.PasswordShort, only(h.Accept(h.ctx, token, "", "elevenchars", signin.How{}, h.seed(), h.now)))
	h.refused(signin.PasswordOwn, only(h.Accept(h.ctx, token, "", "lina@tea.example", signin.How{}, h.seed(), h.now)))
	h.need(only(h.Accept(h.ctx, token, "", good, signin.How{}, h.seed(), h.now)))
}

func TestSigningIn(t *testing.T) {
	h := newHall(t)
	first := h.accept(good)
	h.stands(&first, true)
	if first.Kind != signin.Customer || first.Owner != h.alice || first.By != "password" || !strings.HasPrefix(first.Token, "hfs_"+h.alice.String()+"_") || len(first.Token) != 73 {
		t.Errorf("%+v", first)
	}
	s, err := h.SignIn(h.ctx, signin.Customer, " ALICE.wang@example.com ", good, signin.How{Label: "Chrome", Phone: true}, h.seed(), h.now)
	h.need(err)
	h.stands(&s, true)
	for _, wrong := range []string{"", "hfs_", s.Token[:72], s.Token + "a", strings.Replace(s.Token, h.alice.String(), h.tea.String(), 1), first.Token[:21] + s.Token[21:71] + "zz"} {
		if _, ok, err := h.Check(h.ctx, wrong, h.now); ok || err != nil {
			t.Errorf("%q is a session: %v", wrong, err)
		}
	}
	_, wrong := h.in(other, signin.How{})
	h.refused(signin.LoginWrong, wrong)
	for _, unknown := range []error{
		only(h.SignIn(h.ctx, signin.Customer, "+8613900000009", good, signin.How{}, h.seed(), h.now)),
		only(h.SignIn(h.ctx, signin.Customer, "nobody", good, signin.How{}, h.seed(), h.now)),
		only(h.SignIn(h.ctx, signin.Staff, aliceMail, good, signin.How{}, h.seed(), h.now)),
		only(h.SignIn(h.ctx, signin.Operator, "root/../x", good, signin.How{}, h.seed(), h.now)),
		only(h.SignIn(h.ctx, signin.Operator, "root", good, signin.How{}, h.seed(), h.now)),
	} {
		if unknown == nil || unknown.Error() != wrong.Error() {
			t.Errorf("%v, want as for a wrong password: %v", unknown, wrong)
		}
	}
	list := must(h.Sessions(h.ctx, s.Who, h.now))
	if len(list) != 2 || list[0].ID != first.ID || list[1].Label != "Chrome" {
		t.Errorf("%+v", list)
	}
	// The same request again is the same session.
	seed := h.seed()
	a := must(h.SignIn(h.ctx, signin.Customer, alicePhone, good, signin.How{}, seed, h.now))
	h.later(time.Second)
	b := must(h.elsewhere().SignIn(h.ctx, signin.Customer, alicePhone, good, signin.How{}, seed, h.now))
	if a.Token != b.Token || a.Device != b.Device || a.Created != b.Created {
		t.Errorf("%+v, and again %+v", a, b)
	}
	h.need(h.End(h.ctx, s.Who, s.ID, h.now))
	h.need(h.End(h.ctx, s.Who, s.ID, h.now))
	h.stands(&s, false)
	h.need(h.EndAll(h.ctx, s.Who, a.ID, h.now))
	h.stands(&first, false)
	h.stands(&a, true)
}

func TestNothingSecretIsStored(t *testing.T) {
	h := newHall(t)
	first := h.accept(good)
	s := must(h.in(good, signin.How{}))
	p := must(h.AddStaff(h.ctx, signin.StaffAsk{Merchant: h.tea, Login: "lina@tea.example", Name: "Li Na", Right: signin.Look}, h.now))
	token, _, err := h.Invite(h.ctx, p.Who, h.seed(), h.now)
	h.need(err)
	records := 0
	for sequence := range uint32(100) {
		list := must(h.books.Records(h.ctx, holdfast.OwnedKey(must(owner(sequence)), ""), "", 100))
		for _, r := range list {
			records++
			for _, secret := range []string{good, first.Token[21:], s.Token[21:], s.Device[4:], token[21:], "lina@", "13900000001", "alice"} {
				if strings.Contains(strings.ToLower(r.Key+string(r.Body)), secret) {
					t.Errorf("%s has %q in it", r.Key, secret)
				}
			}
		}
	}
	if records < 5 {
		t.Fatalf("%d records", records)
	}
}

func TestHashesAreMadeAnewWhenTheirCostChanges(t *testing.T) {
	h := newHall(t)
	h.accept(good)
	before := must(h.Person(h.ctx, signin.CustomerPerson(h.alice))).Hash
	if !strings.HasPrefix(before, "$argon2id$v=19$m=8,t=1,p=1$") {
		t.Errorf("the hash is %s", before)
	}
	h.cfg.Hashing.Passes = 2
	dearer := h.elsewhere()
	h.refused(signin.LoginWrong, only(dearer.SignIn(h.ctx, signin.Customer, alicePhone, other, signin.How{}, h.seed(), h.now)))
	h.need(only(dearer.SignIn(h.ctx, signin.Customer, alicePhone, good, signin.How{}, h.seed(), h.now)))
	if after := must(h.Person(h.ctx, signin.CustomerPerson(h.alice))).Hash; !strings.HasPrefix(after, "$argon2id$v=19$m=8,t=2,p=1$") {
		t.Errorf("the hash is %s", after)
	}
	h.need(only(h.in(good, signin.How{})))
	h.cfg.Key = bytes.Repeat([]byte{8}, 32) // without the platform's key a hash is worth nothing
	h.refused(signin.LoginWrong, only(h.elsewhere().SignIn(h.ctx, signin.Customer, alicePhone, good, signin.How{}, h.seed(), h.now)))
	for _, bad := range []signin.Hashing{{}, {Memory: 8, Passes: 1}, {Memory: 7, Passes: 1, Threads: 1}, {Memory: 1 << 21, Passes: 1, Threads: 1}} {
		h.cfg.Hashing = bad
		if _, err := signin.New(h.cfg); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestWrongTriesHaveABoundAtAllSites(t *testing.T) {
	h := newHall(t)
	s := h.accept(good)
	sites := []*signin.Porter{h.Porter, h.elsewhere(), h.elsewhere()}
	try := func(n int, password, device string) error {
		return only(sites[n%3].SignIn(h.ctx, signin.Customer, alicePhone, password, signin.How{Device: device}, h.seed(), h.now))
	}
	for n := range signin.PersonTries {
		h.refused(signin.LoginWrong, try(n, other, ""))
	}
	for n := range 3 {
		h.tooSoon(signin.PersonEvery, try(n, good, ""))
		h.tooSoon(signin.PersonEvery, try(n, good, "hfd_aaaa"))
		h.tooSoon(signin.PersonEvery, try(n, good, s.Device[:60]+"aaaaaaaa"))
	}
	h.need(try(0, good, s.Device)) // nobody else can use up the tries of a device that they know
	h.tooSoon(signin.PersonEvery, try(0, good, ""))
	h.later(signin.PersonEvery)
	h.refused(signin.LoginWrong, try(0, other, ""))
	h.tooSoon(signin.PersonEvery, try(1, good, ""))
	h.later(signin.PersonEvery)
	h.need(try(2, good, ""))
	for n := range signin.PersonTries { // who was right begins anew
		h.refused(signin.LoginWrong, try(n, other, s.Device))
	}
	h.tooSoon(signin.PersonEvery, try(0, good, s.Device))
	h.need(try(0, good, ""))

	// A request that comes twice is one try, but not with another password.
	seed := h.seed()
	for n := range 3 * signin.PersonTries {
		h.refused(signin.LoginWrong, only(sites[n%3].SignIn(h.ctx, signin.Customer, alicePhone, other, signin.How{}, seed, h.now)))
	}
	for n := range signin.PersonTries - 1 {
		h.refused(signin.LoginWrong, only(h.SignIn(h.ctx, signin.Customer, alicePhone, fmt.Sprint(other, n), signin.How{}, seed, h.now)))
	}
	h.tooSoon(signin.PersonEvery, only(h.SignIn(h.ctx, signin.Customer, alicePhone, good, signin.How{}, seed, h.now)))

	// Logins that nobody has are bounded in the same way, at each site.
	for range signin.PersonTries {
		h.refused(signin.LoginWrong, only(h.SignIn(h.ctx, signin.Operator, "root", good, signin.How{}, h.seed(), h.now)))
	}
	h.tooSoon(signin.PersonEvery, only(h.SignIn(h.ctx, signin.Operator, "root", good, signin.How{}, h.seed(), h.now)))
}

func TestTriesAtOnceAreCounted(t *testing.T) {
	h := newHall(t)
	h.accept(good)
	var wrong, busy int
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 40 {
		seed := signin.Seed{byte(i), 1}
		all.Go(func() {
			_, err := h.SignIn(h.ctx, signin.Customer, alicePhone, other, signin.How{}, seed, h.now)
			var r *pay.Refusal
			mu.Lock()
			defer mu.Unlock()
			if errors.As(err, &r) {
				wrong++
			} else {
				busy++
			}
		})
	}
	all.Wait()
	if wrong > signin.PersonTries || busy == 0 {
		t.Errorf("%d were looked at, %d were not", wrong, busy)
	}
}

func TestHashesAtOnceAreBounded(t *testing.T) {
	h := newHall(t)
	h.accept(good)
	h.cfg.AtOnce = 1
	h.cfg.Hashing = signin.Hashing{Memory: 4 << 10, Passes: 2, Threads: 1}
	p := h.elsewhere()
	var all sync.WaitGroup
	var mu sync.Mutex
	away := 0
	for i := range 40 {
		seed := signin.Seed{byte(i), 2}
		all.Go(func() {
			_, err := p.SignIn(h.ctx, signin.Operator, fmt.Sprint("nobody", i), other, signin.How{}, seed, h.now)
			var soon *signin.TooSoon
			if errors.As(err, &soon) && !soon.Tries {
				mu.Lock()
				away++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if away == 0 || away > 32 {
		t.Errorf("%d of 40 were turned away, one at a time and eight waiting", away)
	}
}

func TestSessionsEnd(t *testing.T) {
	h := newHall(t)
	h.accept(good)
	manager := must(h.AddStaff(h.ctx, signin.StaffAsk{Merchant: h.tea, Login: "lina@tea.example", Name: "Li Na", Right: signin.Manage}, h.now))
	worker := must(h.AddStaff(h.ctx, signin.StaffAsk{Merchant: h.tea, Login: "bo@tea.example", Name: "Bo", Right: signin.Work}, h.now))
	boss := must(h.AddOperator(h.ctx, "wei", guard.Operator, h.now))
	invited := func(p signin.Person) signin.Signed {
		token, _, err := h.Invite(h.ctx, p.Who, h.seed(), h.now)
		h.need(err)
		return must(h.Accept(h.ctx, token, "", good, signin.How{Phone: true}, h.seed(), h.now))
	}
	const day = 24 * time.Hour
	for _, row := range []struct {
		name       string
		s          signin.Signed
		idle, most time.Duration
	}{
		{"customer", must(h.in(good, signin.How{})), 12 * time.Hour, day},
		{"phone", must(h.in(good, signin.How{Phone: true})), 7 * day, 30 * day},
		{"manager", invited(manager), 30 * time.Minute, day},
		{"worker", invited(worker), 12 * time.Hour, day},
		{"operator", invited(boss), 30 * time.Minute, day},
	} {
		begin := h.now
		h.later(row.idle - 1)
		h.stands(&row.s, true)
		h.later(1)
		h.stands(&row.s, false)
		h.now = begin
		now := row.s.Session
		for h.now+holdfast.Time(row.idle/2) < begin+holdfast.Time(row.most) {
			h.later(row.idle / 2)
			found, ok, err := h.Check(h.ctx, row.s.Token, h.now)
			if h.need(err); !ok {
				t.Fatalf("%s: ended after %v", row.name, time.Duration(h.now-begin))
			}
			h.need(h.Touch(h.ctx, found, h.now))
			now = found
		}
		h.now = begin + holdfast.Time(row.most)
		h.stands(&row.s, false)
		h.need(h.Touch(h.ctx, now, h.now)) // too late is nobody's fault
		h.stands(&row.s, false)
		h.now = begin
	}
}

func TestAPersonHasSoManySessions(t *testing.T) {
	h := newHall(t)
	first := h.accept(good)
	var last signin.Signed
	for range 16 {
		h.stands(&first, true)
		last = must(h.in(good, signin.How{}))
	}
	h.stands(&first, false)
	h.stands(&last, true)
	if n := len(must(h.Sessions(h.ctx, last.Who, h.now))); n != 16 {
		t.Errorf("%d sessions", n)
	}
}

func TestAnotherPasswordEndsTheOtherSessions(t *testing.T) {
	h := newHall(t)
	lost := h.accept(good)
	mine := must(h.in(good, signin.How{}))
	h.refused(signin.LoginWrong, h.SetPassword(h.ctx, mine.Session, other, "three lakes of wine", nil, h.seed(), h.now))
	h.refused(signin.LoginWrong, h.SetPassword(h.ctx, mine.Session, "", other, nil, h.seed(), h.now))
	h.refused(signin.PasswordSame, h.SetPassword(h.ctx, mine.Session, good, good, nil, h.seed(), h.now))
	for range signin.PersonTries + 1 { // who knows the password may look for another one for as long as it takes
		h.refused(signin.PasswordShort, h.SetPassword(h.ctx, mine.Session, good, "tea", nil, h.seed(), h.now))
		h.refused(signin.PasswordSame, h.SetPassword(h.ctx, mine.Session, good, good, nil, h.seed(), h.now))
	}
	h.stands(&lost, true)
	h.need(h.SetPassword(h.ctx, mine.Session, good, other, nil, h.seed(), h.now))
	h.need(h.SetPassword(h.ctx, mine.Session, good, other, nil, h.seed(), h.now)) // an answer was lost
	h.stands(&lost, false)
	h.stands(&mine, true)
	h.refused(signin.LoginWrong, only(h.in(good, signin.How{})))
	h.need(only(h.in(other, signin.How{})))
	for range signin.PersonTries { // who has come by a session cannot guess for ever
		if err := h.SetPassword(h.ctx, mine.Session, "guess", "three lakes of wine", nil, h.seed(), h.now); err == nil {
			t.Fatal("guessed")
		}
	}
	h.tooSoon(signin.PersonEvery, h.SetPassword(h.ctx, mine.Session, other, "three lakes of wine", nil, h.seed(), h.now))
}

func TestInvitations(t *testing.T) {
	h := newHall(t)
	old := h.accept(good)
	seed := h.seed()
	first, _, err := h.InviteCustomer(h.ctx, h.alice, seed, h.now)
	h.need(err)
	if again, _, err := h.InviteCustomer(h.ctx, h.alice, seed, h.now); err != nil || again != first {
		t.Errorf("%q, and again %q %v", first, again, err)
	}
	h.need(only(h.in(good, signin.How{}))) // nothing has changed until it is used
	second, _, err := h.InviteCustomer(h.ctx, h.alice, h.seed(), h.now)
	h.need(err)
	h.refused(signin.InvitationUnknown, only(h.Accept(h.ctx, first, "", other, signin.How{}, h.seed(), h.now)))
	h.later(signin.InvitationLife)
	h.refused(signin.InvitationUnknown, only(h.Accept(h.ctx, second, "", other, signin.How{}, h.seed(), h.now)))
	h.later(-2)
	who, _, err := h.Invited(h.ctx, second, h.now)
	if h.need(err); who.Kind != signin.Customer || who.Owner != h.alice {
		t.Errorf("%+v", who)
	}
	seed = h.seed()
	s := must(h.Accept(h.ctx, second, "", other, signin.How{}, seed, h.now))
	h.stands(&old, false)
	h.later(1)
	again, err := h.elsewhere().Accept(h.ctx, second, "", other, signin.How{}, seed, h.now)
	if h.need(err); again.Token != s.Token {
		t.Errorf("%+v, and again %+v", s, again)
	}
	h.refused(signin.InvitationUnknown, only(h.Accept(h.ctx, second, "", "three lakes of wine", signin.How{}, h.seed(), h.now)))
	_, _, err = h.Invited(h.ctx, second, h.now)
	h.refused(signin.InvitationUnknown, err)
	h.need(only(h.in(other, signin.How{})))
	_, _, err = h.InviteCustomer(h.ctx, must(owner(50)), h.seed(), h.now)
	h.refused(pay.CustomerUnknown, err)
	for _, wrong := range []string{"", "hfi_", s.Token, "hfi_" + s.Token[4:]} {
		h.refused(signin.InvitationUnknown, only(h.Accept(h.ctx, wrong, "", other, signin.How{}, h.seed(), h.now)))
	}
}

func TestPeopleOfMerchants(t *testing.T) {
	h := newHall(t)
	ask := signin.StaffAsk{Merchant: h.tea, Login: "Lina@tea.example", Name: "Li Na", Right: signin.Work}
	p := must(h.AddStaff(h.ctx, ask, h.now))
	if again := must(h.AddStaff(h.ctx, ask, h.now)); again.Who != p.Who || p.Hint != "L***@tea.example" {
		t.Errorf("%+v, and again %+v", p, again)
	}
	ask.Right = signin.Look
	h.refused(signin.PersonExists, only(h.AddStaff(h.ctx, ask, h.now)))
	ask.Merchant = h.rice
	h.refused(signin.LoginTaken, only(h.AddStaff(h.ctx, ask, h.now)))
	ask.Merchant, ask.Login = h.alice, "bo@tea.example"
	h.refused(pay.MerchantUnknown, only(h.AddStaff(h.ctx, ask, h.now)))
	ask.Merchant, ask.Login = h.tea, alicePhone
	h.refused(pay.AliasInvalid, only(h.AddStaff(h.ctx, ask, h.now)))
	in := func() (signin.Signed, error) {
		return h.SignIn(h.ctx, signin.Staff, "lina@TEA.example", good, signin.How{}, h.seed(), h.now)
	}
	h.refused(signin.LoginWrong, only(in()))
	token, _, err := h.Invite(h.ctx, p.Who, h.seed(), h.now)
	h.need(err)
	h.need(only(h.Accept(h.ctx, token, "lina@tea.example", good, signin.How{}, h.seed(), h.now)))
	s := must(in())
	if s.Kind != signin.Staff || s.Right != signin.Work || s.Owner != h.tea {
		t.Errorf("%+v", s.Session)
	}
	h.need(only(h.SetStaff(h.ctx, p.Who, "Li Na", signin.Look, h.now)))
	h.stands(&s, false) // a session never has more rights than its person
	if s = must(in()); s.Right != signin.Look {
		t.Errorf("%+v", s.Session)
	}
	if list := must(h.People(h.ctx, h.tea)); len(list) != 1 || list[0].Right != signin.Look {
		t.Errorf("%+v", list)
	}
	for range 2 {
		h.need(h.Remove(h.ctx, p.Who, h.now))
	}
	h.stands(&s, false)
	h.refused(signin.LoginWrong, only(in()))
	ask.Merchant, ask.Login = h.rice, "lina@tea.example"
	h.need(only(h.AddStaff(h.ctx, ask, h.now))) // the address is free

	boss := must(h.AddOperator(h.ctx, "wei", guard.Operator, h.now))
	token, _, err = h.Invite(h.ctx, boss.Who, h.seed(), h.now)
	h.need(err)
	b := must(h.Accept(h.ctx, token, "Wei", good, signin.How{}, h.seed(), h.now))
	if b.Kind != signin.Operator || b.Role != guard.Operator {
		t.Errorf("%+v", b.Session)
	}
	h.need(only(h.SetOperator(h.ctx, "wei", guard.Reader, h.now)))
	h.stands(&b, false)
	if b = must(h.SignIn(h.ctx, signin.Operator, "wei", good, signin.How{}, h.seed(), h.now)); b.Role != guard.Reader {
		t.Errorf("%+v", b.Session)
	}
	h.refused(pay.FieldInvalid, only(h.AddOperator(h.ctx, "wei/../x", guard.Reader, h.now)))
	h.refused(pay.FieldInvalid, only(h.AddOperator(h.ctx, "bo", guard.NoRole, h.now)))
}

func TestPasskeys(t *testing.T) {
	h := newHall(t)
	s := h.accept(good)
	phone := &signintest.Authenticator{Origin: origin, Count: 1}
	begun := must(h.BeginPasskey(h.ctx, s.Session, h.seed(), h.now))
	answer := must(phone.Create(begun.Options))
	there := h.elsewhere() // the site where it began is lost
	k := must(there.AddPasskey(h.ctx, s.Session, begun.State, "phone", answer, h.now))
	if again := must(h.AddPasskey(h.ctx, s.Session, begun.State, "phone", answer, h.now)); again.Key() != k.Key() {
		t.Errorf("%+v, and again %+v", k, again)
	}
	next := must(h.BeginPasskey(h.ctx, s.Session, h.seed(), h.now))
	h.refused(signin.PasskeyWrong, only(h.AddPasskey(h.ctx, s.Session, next.State, "phone", answer, h.now)))
	if bytes.Contains(begun.Options, []byte(h.alice.String()[4:])) && !bytes.Contains(begun.Options, []byte(`"name":"`+h.alice.String())) {
		t.Errorf("the options: %s", begun.Options)
	}
	in := func(p *signin.Porter, a *signintest.Authenticator, seed signin.Seed) (signin.Signed, signin.Ceremony, []byte, error) {
		c := must(h.BeginSignIn(h.seed(), h.now))
		answer := must(a.Get(c.Options))
		s, err := p.SignInByPasskey(h.ctx, c.State, answer, signin.How{Label: "phone"}, seed, h.now)
		return s, c, answer, err
	}
	seed := h.seed()
	got, c, signed, err := in(there, phone, seed)
	if h.need(err); got.Owner != h.alice || got.By != "passkey" {
		t.Errorf("%+v", got.Session)
	}
	h.stands(&got, true)
	h.later(1)
	if again := must(h.SignInByPasskey(h.ctx, c.State, signed, signin.How{}, seed, h.now)); again.Token != got.Token {
		t.Errorf("%+v, and again %+v", got.Session, again.Session)
	}
	h.refused(signin.PasskeyWrong, only(h.SignInByPasskey(h.ctx, c.State, signed, signin.How{}, h.seed(), h.now))) // who has seen it cannot use it again
	c = must(h.BeginSignIn(h.seed(), h.now))
	signed = must(phone.Get(c.Options))
	h.later(5 * time.Minute)
	h.refused(signin.ChallengeOld, only(h.SignInByPasskey(h.ctx, c.State, signed, signin.How{}, h.seed(), h.now)))
	h.refused(signin.ChallengeOld, only(h.SignInByPasskey(h.ctx, next.State, signed, signin.How{}, h.seed(), h.now)))
	h.refused(signin.ChallengeOld, only(h.SignInByPasskey(h.ctx, "nonsense", signed, signin.How{}, h.seed(), h.now)))

	copied := *phone
	_, _, _, err = in(h.Porter, phone, h.seed())
	h.need(err)
	_, _, _, err = in(h.Porter, &copied, h.seed()) // counts no further: there are two of it
	h.refused(signin.PasskeyWrong, err)
	elsewhere := *phone
	elsewhere.Origin = "https://pay.examp1e"
	_, _, _, err = in(h.Porter, &elsewhere, h.seed())
	h.refused(signin.PasskeyWrong, err)
	elsewhere = *phone
	elsewhere.RP = "evil.example"
	_, _, _, err = in(h.Porter, &elsewhere, h.seed())
	h.refused(signin.PasskeyWrong, err)

	// The last way to sign in stays, and who has come by an old session cannot change them.
	h.later(15 * time.Minute)
	h.refused(signin.ConfirmFirst, h.RemovePasskey(h.ctx, s.Session, k.Key(), h.now))
	h.refused(signin.ConfirmFirst, only(h.BeginPasskey(h.ctx, s.Session, h.seed(), h.now)))
	h.refused(signin.ConfirmFirst, h.RemovePassword(h.ctx, s.Session, h.now))
	phone.Count += 10
	got, _, _, err = in(h.Porter, phone, h.seed())
	h.need(err)
	h.need(h.NamePasskey(h.ctx, got.Session, k.Key(), "old phone", h.now))
	h.need(h.RemovePassword(h.ctx, got.Session, h.now))
	h.stands(&s, false)
	h.refused(signin.LoginWrong, only(h.in(good, signin.How{})))
	h.refused(signin.LastWay, h.RemovePasskey(h.ctx, got.Session, k.Key(), h.now))
	h.need(h.SetPassword(h.ctx, got.Session, "", other, nil, h.seed(), h.now))
	h.need(h.RemovePasskey(h.ctx, got.Session, k.Key(), h.now))
	h.refused(signin.LastWay, h.RemovePassword(h.ctx, got.Session, h.now))
	_, _, _, err = in(h.Porter, phone, h.seed())
	h.refused(signin.PasskeyWrong, err)
	h.cfg.Passkeys = signin.Passkeys{}
	h.refused(signin.PasskeysOff, only(h.elsewhere().BeginSignIn(h.seed(), h.now)))
}

func TestALostAnswerIsAskedForAgain(t *testing.T) {
	h := newHall(t)
	h.accept(good)
	n := 0
	h.books.Fault = func(*holdfast.Txn) paytest.Fault {
		if n++; n == 2 { // the one that opens the session
			return paytest.AnswerLost
		}
		return paytest.NoFault
	}
	seed := h.seed()
	_, err := h.SignIn(h.ctx, signin.Customer, alicePhone, good, signin.How{}, seed, h.now)
	var pending *pay.Pending
	if !errors.As(err, &pending) {
		t.Fatalf("%v, want that nobody knows", err)
	}
	h.later(1)
	s := must(h.SignIn(h.ctx, signin.Customer, alicePhone, good, signin.How{}, seed, h.now))
	if h.stands(&s, true); len(must(h.Sessions(h.ctx, s.Who, h.now))) != 2 {
		t.Error("there is a session that nobody has")
	}
	h.books.Fault = func(*holdfast.Txn) paytest.Fault { return paytest.Gone }
	var unavailable *pay.Unavailable
	if _, err := h.in(good, signin.How{}); !errors.As(err, &unavailable) {
		t.Errorf("%v, want that nothing was done", err)
	}
}
