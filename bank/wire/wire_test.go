package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast"
	"holdfast/bank"
	"holdfast/bank/files"
	"holdfast/bank/iso20022"
	"holdfast/bank/testbank"
)

const (
	ours   = "6222020000000000018"
	theirs = "DE89370400440532013000"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func account(t testing.TB, number string) bank.Account {
	t.Helper()
	a, err := bank.ParseAccount(number)
	must(t, err)
	return a
}

func instruction(t testing.TB, id string, sent time.Time) *bank.Instruction {
	return &bank.Instruction{
		ID: id, Amount: 1250, Asset: holdfast.MustAsset("CNY"), From: account(t, ours), To: account(t, theirs), Name: "韩梅梅", Text: "withdrawal",
		Sent: holdfast.Time(sent.UnixNano()),
	}
}

// pki writes an authority and a certificate of it for this machine.
func pki(t testing.TB, dir, name string) (ca, cert, key string) {
	t.Helper()
	issue := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		if signer == nil {
			signer = k
		}
		template.NotBefore, template.NotAfter, template.SerialNumber = time.Now().Add(-time.Hour), time.Now().Add(time.Hour), big.NewInt(1)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &k.PublicKey, signer)
		must(t, err)
		return der, k
	}
	write := func(kind string, der []byte, as string) string {
		path := filepath.Join(dir, name+as)
		must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	root := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, rootKey := issue(root, root, nil)
	leaf := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	leafDER, leafKey := issue(leaf, root, rootKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	must(t, err)
	return write("CERTIFICATE", rootDER, ".ca"), write("CERTIFICATE", leafDER, ".crt"), write("PRIVATE KEY", keyDER, ".key")
}

// TestOverMutualTLS: a payment, its questions, deposits and the statement, over real sockets; and whoever has no certificate gets nothing.
func TestOverMutualTLS(t *testing.T) {
	dir := t.TempDir()
	bankCA, bankCert, bankKey := pki(t, dir, "bank")
	ourCA, ourCert, ourKey := pki(t, dir, "ours")
	b, err := testbank.Open(testbank.Options{Dir: filepath.Join(dir, "data")})
	must(t, err)
	secure, err := testbank.TLS(bankCert, bankKey, ourCA)
	must(t, err)
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		return l
	}
	payments, control := listen(), listen()
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := b.Serve(ctx, payments, control, secure); err != nil {
			t.Error(err)
		}
	})
	defer func() { stop(); ended.Wait(); must(t, b.Close()) }()
	must(t, b.OpenAccount(testbank.Account{Number: ours, Currency: "CNY", Balance: 100_000}))
	connect := func(ca, cert, key string) *Connector {
		client, err := Client(ca, cert, key)
		must(t, err)
		t.Cleanup(client.CloseIdleConnections)
		c, err := New(Config{URL: "https://" + payments.Addr().String(), Client: client, Initiator: "Holdfast", Terms: bank.Terms{Late: time.Minute}})
		must(t, err)
		return c
	}
	for name, c := range map[string]*Connector{"without a certificate": connect(bankCA, "", ""), "of another authority": connect(bankCA, bankCert, bankKey), "which does not know the bank": connect(ourCA, ourCert, ourKey)} {
		if a := c.Ask(ctx, "HF1"); a.State != bank.Unknown || a.Alive || a.Detail == "" {
			t.Errorf("a customer %s is told %+v", name, a)
		}
	}
	c := connect(bankCA, ourCert, ourKey)
	if a := c.Ask(ctx, "HF1"); a.State != bank.NeverHeard || a.At == 0 || !a.Alive {
		t.Errorf("before the payment: %+v", a)
	}
	for range 2 {
		if a := c.Send(ctx, instruction(t, "HF1", time.Now())); a.State != bank.Done || a.Ref == "" || a.At == 0 {
			t.Errorf("the payment: %+v", a)
		}
	}
	other := instruction(t, "HF1", time.Now())
	other.Amount++
	if a := c.Send(ctx, other); a.State != bank.Conflict {
		t.Errorf("another payment with the same id: %+v", a)
	}
	if a := c.Ask(ctx, "HF1"); a.State != bank.Done {
		t.Errorf("after the payment: %+v", a)
	}
	if a := c.Send(ctx, instruction(t, "HF2", time.Now().Add(-time.Hour))); a.State != bank.Rejected || a.Reason != iso20022.ReasonTooLate {
		t.Errorf("a message that is an hour old: %+v", a)
	}
	if a := c.Ask(ctx, "HF2"); a.State != bank.NeverHeard {
		t.Errorf("a message that came too late left %+v", a)
	}
	must(t, b.Credit(testbank.TopUp{Key: "1", Account: ours, Amount: 777, From: theirs, Text: "for 2088"}))
	must(t, b.Credit(testbank.TopUp{Key: "1", Account: ours, Amount: 777}))
	must(t, b.Credit(testbank.TopUp{Key: "2", Account: ours, Amount: 1}))
	list, next, err := c.Deposits(ctx, account(t, ours), 0, 1)
	if err != nil || next != 1 || len(list) != 1 || list[0].Amount != 777 || list[0].From != account(t, theirs) || list[0].Text != "for 2088" {
		t.Errorf("deposits: %+v, %d, %v", list, next, err)
	}
	if list, next, err = c.Deposits(ctx, account(t, ours), next, 10); err != nil || next != 2 || len(list) != 1 || list[0].Seq != 2 {
		t.Errorf("further deposits: %+v, %d, %v", list, next, err)
	}
	body, err := c.Statement(ctx, account(t, ours), time.Now().UTC())
	must(t, err)
	defer body.Close()
	items, book, err := StatementItems(body)
	must(t, err)
	var shown []string
	for i, err := range bank.SortItems(items, 2, files.Runs(dir)) {
		must(t, err)
		shown = append(shown, fmt.Sprint(i.ID, " ", i.Amount, " ", i.Other.Reveal()))
	}
	if want := []string{"HF1 -1250 " + theirs, " 777 " + theirs, " 1 "}; !slices.Equal(shown, want) {
		t.Errorf("the statement has %q, want %q", shown, want)
	}
	if book.Opening != 100_000 || book.Closing != 100_000-1250+778 || !book.Interim || book.Sum != 778-1250 || book.Count != 3 {
		t.Errorf("the book is %+v", book)
	}
}

// TestAnswers has a row for each thing that a bank can say.
func TestAnswers(t *testing.T) {
	moment := time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)
	status := func(s string) iso20022.TxStatus { return iso20022.TxStatus{EndToEnd: "A", Status: s} }
	rejected := iso20022.TxStatus{EndToEnd: "A", Status: "RJCT", Reasons: iso20022.Why("AC04", false, "")}
	never := iso20022.TxStatus{EndToEnd: "A", Reasons: iso20022.Why(iso20022.NeverHeardOf, true, "")}
	conflict := iso20022.TxStatus{EndToEnd: "A", Reasons: iso20022.Why(iso20022.OtherContent, true, "")}
	for name, c := range map[string]struct {
		of   []iso20022.TxStatus
		want bank.State
	}{
		"nothing": {nil, bank.Unknown}, "another id": {[]iso20022.TxStatus{{EndToEnd: "B", Status: "ACSC"}}, bank.Unknown},
		"received": {[]iso20022.TxStatus{status("RCVD")}, bank.Pending}, "in progress": {[]iso20022.TxStatus{status("ACSP")}, bank.Pending},
		"settled": {[]iso20022.TxStatus{status("ACSC")}, bank.Done}, "rejected": {[]iso20022.TxStatus{rejected}, bank.Rejected},
		"a status nobody knows": {[]iso20022.TxStatus{status("XXXX")}, bank.Unknown}, "never": {[]iso20022.TxStatus{never}, bank.NeverHeard},
		"another reason": {[]iso20022.TxStatus{{EndToEnd: "A", Reasons: iso20022.Why("NARR", false, "x")}}, bank.Unknown}, "conflict": {[]iso20022.TxStatus{conflict}, bank.Conflict},
		"twice": {[]iso20022.TxStatus{status("ACSC"), status("ACSC")}, bank.Done}, "an old one behind": {[]iso20022.TxStatus{status("ACSC"), status("ACSP")}, bank.Done},
		"an old one in front": {[]iso20022.TxStatus{status("ACSP"), rejected}, bank.Rejected}, "a contradiction": {[]iso20022.TxStatus{status("ACSC"), rejected}, bank.Unknown},
		"never, and pending": {[]iso20022.TxStatus{never, status("PDNG")}, bank.Pending}, "pending, and never": {[]iso20022.TxStatus{status("PDNG"), never}, bank.Pending},
	} {
		a := Answer(iso20022.NewStatusReport("R", moment, "", c.of...), "A", false)
		if a.State != c.want || !a.Alive || a.At != holdfast.Time(moment.UnixNano()) || (a.State == bank.Unknown) != (a.Detail != "") {
			t.Errorf("%s: %+v, want %v", name, a, c.want)
		}
		if (a.State == bank.Rejected) != (a.Reason == "AC04") {
			t.Errorf("%s: the reason is %q", name, a.Reason)
		}
	}
	whole := iso20022.NewStatusReport("R", moment, "M")
	whole.Body.Group[0].Status = "RJCT"
	if a, b := Answer(whole, "A", true), Answer(whole, "A", false); a.State != bank.Rejected || b.State != bank.Unknown {
		t.Errorf("a message that is rejected as a whole: %+v, and as an answer to a question %+v", a, b)
	}
}

// TestWhatIsNoAnswer: whatever else comes back means that nothing is known, and above all not "never heard of it".
func TestWhatIsNoAnswer(t *testing.T) {
	moment := time.Date(2026, 11, 27, 9, 30, 0, 0, time.UTC)
	report := func(of iso20022.TxStatus) string {
		text, err := iso20022.NewStatusReport("R", moment, "", of).Encode()
		must(t, err)
		return string(text)
	}
	never := report(iso20022.TxStatus{EndToEnd: "A", Reasons: iso20022.Why(iso20022.NeverHeardOf, true, "")})
	settled := report(iso20022.TxStatus{EndToEnd: "A", Status: "ACSC"})
	for _, c := range []struct {
		status int
		body   string
		alive  bool
	}{
		{404, "404 page not found", false},
		{404, "", false},
		{200, never, true},
		{404, settled, true},
		{200, "", false},
		{200, "<html>Sign in</html>", false},
		{200, settled[:len(settled)-20], false},
		{503, settled, false},
		{502, "", false},
		{429, "", false},
		{400, "bad", true},
		{302, "", false},
		{201, settled, false},
		{200, strings.Replace(settled, "pacs.002.001.10", "pacs.002.001.03", 1), false},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}))
		client, err := Client("", "", "")
		must(t, err)
		b, err := New(Config{URL: s.URL + "/", Client: client, Initiator: "Holdfast", Terms: bank.Terms{Late: time.Minute}})
		must(t, err)
		if a := b.Ask(t.Context(), "A"); a.State != bank.Unknown || a.Alive != c.alive || a.Detail == "" {
			t.Errorf("asked, the answer %d %.40q is taken as %+v", c.status, c.body, a)
		}
		if a := b.Send(t.Context(), instruction(t, "A", moment)); a.State != bank.Unknown && c.body != never {
			t.Errorf("sent, the answer %d %.40q is taken as %+v", c.status, c.body, a)
		}
		client.CloseIdleConnections()
		s.Close()
		if a := b.Ask(t.Context(), "A"); a.State != bank.Unknown || a.Alive || strings.Contains(a.Detail, "id=") {
			t.Errorf("nobody there: %+v", a)
		}
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{URL: "https://bank.example", Initiator: "Holdfast", Terms: bank.Terms{Late: time.Minute}}
	for why, change := range map[string]func(*Config){
		"want https": func(c *Config) { c.URL = "http://bank.example" }, "like https": func(c *Config) { c.URL = "bank" },
		"without a user": func(c *Config) { c.URL = "https://u:p@bank.example" }, "our name": func(c *Config) { c.Initiator = "" },
		"cut-off": func(c *Config) { c.Terms = bank.Terms{} },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if _, err := Client("", "only.crt", ""); err == nil {
		t.Error("a certificate without a key was taken")
	}
	if _, err := Client("/nowhere", "", ""); err == nil {
		t.Error("an authority that is not there was taken")
	}
	if c, err := Client("", "", ""); err != nil || c.Transport.(*http.Transport).TLSClientConfig.MinVersion != tls.VersionTLS12 {
		t.Errorf("%v", err)
	}
}
