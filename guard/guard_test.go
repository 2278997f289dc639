package guard_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"holdfast"
	"holdfast/guard"
)

func TestRights(t *testing.T) {
	rows := []struct {
		action                   guard.Action
		reader, teller, operator bool
	}{
		{guard.ReadMoney, true, true, true},
		{guard.ReadFleet, true, true, true},
		{guard.IssueOwners, false, true, true},
		{guard.OpenAccounts, false, true, true},
		{guard.MoveMoney, false, true, true},
		{guard.RestrictAccounts, false, false, true},
		{guard.MoveLeaders, false, false, true},
		{guard.RebuildReplicas, false, false, true},
		{guard.ChangeSites, false, false, true},
		{guard.MoveSlots, false, false, true},
		{guard.SplitShards, false, false, true},
		{guard.ManageCustomers, false, true, true},
		{guard.ManageMerchants, false, true, true},
		{guard.ManageOperators, false, false, true},
		{guard.RestrictPayments, false, false, true},
		{guard.BypassPayments, false, false, true},
		{guard.RunDrills, false, false, true},
		{guard.AuditPayments, false, false, true},
		{0, false, false, false},
		{guard.AuditPayments + 1, false, false, false},
	}
	for _, row := range rows {
		for role, want := range map[guard.Role]bool{
			guard.NoRole: false, guard.Reader: row.reader, guard.Teller: row.teller, guard.Operator: row.operator, guard.Operator + 1: false,
		} {
			err := guard.Authorise(guard.Principal{Name: "till-7", Role: role}, row.action)
			if (err == nil) != want {
				t.Errorf("%s to %s: %v", role, row.action, err)
			}
			if err != nil && !errors.As(err, new(*guard.Denied)) {
				t.Errorf("%s to %s: %T is not *Denied", role, row.action, err)
			}
		}
	}
}

func TestNeedsTheHighestRight(t *testing.T) {
	open := holdfast.AccountChange{Op: holdfast.OpenAccount}
	freeze := holdfast.AccountChange{Op: holdfast.FreezeAccount}
	pay := holdfast.Transfer{Kind: holdfast.Immediate}
	rows := []struct {
		name string
		txn  holdfast.Txn
		want guard.Action
	}{
		{"only open", holdfast.Txn{Accounts: []holdfast.AccountChange{open}}, guard.OpenAccounts},
		{"open and pay", holdfast.Txn{Accounts: []holdfast.AccountChange{open}, Transfers: []holdfast.Transfer{pay}}, guard.MoveMoney},
		{"pay", holdfast.Txn{Transfers: []holdfast.Transfer{pay}}, guard.MoveMoney},
		{"freeze beside a payment", holdfast.Txn{Accounts: []holdfast.AccountChange{open, freeze}, Transfers: []holdfast.Transfer{pay}}, guard.RestrictAccounts},
		{"records", holdfast.Txn{Records: []holdfast.RecordChange{{Key: "k"}}}, guard.MoveMoney},
		{"empty", holdfast.Txn{}, guard.MoveMoney},
	}
	for _, row := range rows {
		if got := guard.Needs(&row.txn); got != row.want {
			t.Errorf("%s: needs %s, want %s", row.name, got, row.want)
		}
	}
}

func entropy(b byte) (random [guard.KeyEntropy]byte) {
	for i := range random {
		random[i] = b + byte(i)
	}
	return random
}

func newKey(t *testing.T, name string, role guard.Role, b byte) (guard.Key, guard.Secret) {
	t.Helper()
	key, secret, err := guard.NewKey(name, role, entropy(b))
	if err != nil {
		t.Fatal(err)
	}
	return key, secret
}

func TestAuthenticate(t *testing.T) {
	till, tillText := newKey(t, "till-7", guard.Teller, 1)
	boss, bossText := newKey(t, "boss", guard.Operator, 99)
	_, stranger := newKey(t, "stranger", guard.Operator, 50)
	keys := []guard.Key{till, boss}
	rows := []struct {
		name, text string
		want       guard.Principal
		err        error
	}{
		{"first", tillText.Reveal(), guard.Principal{Name: "till-7", Role: guard.Teller}, nil},
		{"last", bossText.Reveal(), guard.Principal{Name: "boss", Role: guard.Operator}, nil},
		{"stranger", stranger.Reveal(), guard.Principal{}, guard.ErrUnknownKey},
		{"cut", tillText.Reveal()[:20], guard.Principal{}, guard.ErrNotAKey},
		{"empty", "", guard.Principal{}, guard.ErrNotAKey},
		{"other prefix", "xx" + tillText.Reveal()[2:], guard.Principal{}, guard.ErrNotAKey},
		{"other case", strings.ToUpper(tillText.Reveal()), guard.Principal{}, guard.ErrNotAKey},
	}
	for _, row := range rows {
		got, err := guard.Authenticate(keys, row.text)
		if got != row.want || !errors.Is(err, row.err) {
			t.Errorf("%s: %v, %v; want %v, %v", row.name, got, err, row.want, row.err)
		}
	}
	if _, err := guard.Authenticate(nil, tillText.Reveal()); !errors.Is(err, guard.ErrUnknownKey) {
		t.Errorf("without keys: %v", err)
	}
}

func TestASecretDoesNotShowItself(t *testing.T) {
	_, secret := newKey(t, "till-7", guard.Teller, 1)
	text, err := secret.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	hidden := secret.Reveal()[len("hf_12345678_"):]
	for _, shown := range []string{string(text), fmt.Sprint(secret), fmt.Sprintf("%+v", secret), fmt.Sprintf("%#v", secret), fmt.Sprintf("%q", secret)} {
		if strings.Contains(shown, hidden) {
			t.Errorf("shows itself: %s", shown)
		}
	}
}

func TestNewKeyRefusesNonsense(t *testing.T) {
	for _, name := range []string{"", "Till", "till 7", "till\n", strings.Repeat("a", 65)} {
		if _, _, err := guard.NewKey(name, guard.Teller, entropy(1)); err == nil {
			t.Errorf("name %q was taken", name)
		}
	}
	for _, role := range []guard.Role{guard.NoRole, guard.Operator + 1} {
		if _, _, err := guard.NewKey("till", role, entropy(1)); err == nil {
			t.Errorf("role %s was taken", role)
		}
	}
}

func TestTextForms(t *testing.T) {
	for role := guard.Reader; role <= guard.Operator; role++ {
		var back guard.Role
		text, err := role.MarshalText()
		if err2 := back.UnmarshalText(text); err != nil || err2 != nil || back != role {
			t.Errorf("%s: %v %v %s", role, err, err2, back)
		}
	}
	if _, err := guard.ParseRole("none"); err == nil {
		t.Error("role none was read")
	}
	hash := guard.HashOf("x")
	var back guard.Hash
	text, err := hash.MarshalText()
	if err2 := back.UnmarshalText(text); err != nil || err2 != nil || back != hash {
		t.Errorf("hash: %v %v", err, err2)
	}
	for _, bad := range []string{"", "12", strings.Repeat("z", 64)} {
		if err := back.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("hash %q was read", bad)
		}
	}
}

func TestRequestID(t *testing.T) {
	till, other := guard.Principal{Name: "till-7"}, guard.Principal{Name: "till-8"}
	id := func(p guard.Principal, key string) holdfast.ID {
		t.Helper()
		id, err := guard.RequestID(p, key)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	const uuid = "0190f3c6-2a3b-7c4d-8e5f-001122334455"
	if got := id(till, uuid).String(); got != uuid {
		t.Errorf("a UUID became %s", got)
	}
	if got := id(till, strings.ToUpper(uuid)).String(); got != uuid {
		t.Errorf("a UUID in capitals became %s", got)
	}
	order := id(till, "order-1")
	if again := id(till, "order-1"); again != order {
		t.Errorf("one key, two ids: %s, %s", order, again)
	}
	if order == id(other, "order-1") {
		t.Error("two principals share an id")
	}
	if order == id(till, "order-2") {
		t.Error("two keys share an id")
	}
	if id(guard.Principal{Name: "a"}, "bc") == id(guard.Principal{Name: "ab"}, "c") {
		t.Error("name and key run into each other")
	}
	if text := order.String(); text[14] != '8' || !strings.ContainsRune("89ab", rune(text[19])) {
		t.Errorf("%s is no UUIDv8", text)
	}
	for _, bad := range []string{"", strings.Repeat("x", 256), "a\nb", "ä", "00000000-0000-0000-0000-000000000000"} {
		if got, err := guard.RequestID(till, bad); err == nil {
			t.Errorf("key %q became %s", bad, got)
		}
	}
}

// The ids of keys are in the callers' books: the way from a key to its id must never change.
func TestRequestIDStaysTheSame(t *testing.T) {
	id, err := guard.RequestID(guard.Principal{Name: "till-7"}, "order-1")
	if err != nil {
		t.Fatal(err)
	}
	if got := id.String(); got != "c5fb67ef-778f-8d90-a117-a0db28b2e2fc" {
		t.Errorf("order-1 of till-7 has become %s", got)
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	var keys []guard.Key
	var text string
	for i := range 20 {
		key, secret, err := guard.NewKey(fmt.Sprint("k", i), guard.Teller, entropy(byte(i)))
		if err != nil {
			b.Fatal(err)
		}
		keys, text = append(keys, key), secret.Reveal()
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := guard.Authenticate(keys, text); err != nil {
			b.Fatal(err)
		}
	}
}
