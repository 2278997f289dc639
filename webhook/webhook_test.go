package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

var noon = time.Unix(1_800_000_000, 0)

func secretOf(t testing.TB, seed int64) Secret {
	t.Helper()
	s, err := NewSecret(rand.New(rand.NewSource(seed)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTheirLibraryBelievesUs: what we sign passes the library that receivers use, and what it signs passes Verify.
func TestTheirLibraryBelievesUs(t *testing.T) {
	old, fresh := secretOf(t, 1), secretOf(t, 2)
	body := []byte(`{"type":"trade.paid","data":{"subject":"100 % 茶"}}`)
	now := time.Now()
	h := http.Header{}
	h.Set(HeaderID, "evt_1")
	h.Set(HeaderTimestamp, fmt.Sprint(now.Unix()))
	h.Set(HeaderSignature, Sign([]Secret{old, fresh}, "evt_1", now, body))
	for _, s := range []Secret{old, fresh} {
		theirs, err := standard.NewWebhook(s.Text())
		if err != nil {
			t.Fatal(err)
		}
		if err := theirs.Verify(body, h); err != nil {
			t.Errorf("their library: %v", err)
		}
		signed, err := theirs.Sign("evt_1", now, body)
		if err != nil {
			t.Fatal(err)
		}
		if err := Verify(s, "evt_1", fmt.Sprint(now.Unix()), signed, body, now); err != nil {
			t.Errorf("what their library signed: %v", err)
		}
	}
	third, err := standard.NewWebhook(secretOf(t, 3).Text())
	if err != nil {
		t.Fatal(err)
	}
	if third.Verify(body, h) == nil {
		t.Error("their library believes a secret that did not sign")
	}
}

func TestVerifyRefuses(t *testing.T) {
	s, body := secretOf(t, 1), []byte("body")
	at := fmt.Sprint(noon.Unix())
	good := Sign([]Secret{s}, "evt_1", noon, body)
	for _, c := range []struct {
		name, id, at, signature, body string
		now                           time.Time
		want                          error
	}{
		{"as it was sent", "evt_1", at, good, "body", noon, nil},
		{"among others", "evt_1", at, "v1a,AAAA v1,notbase64! v1,AAAA " + good, "body", noon.Add(Tolerance), nil},
		{"another body", "evt_1", at, good, "bodx", noon, ErrSignature},
		{"another id", "evt_2", at, good, "body", noon, ErrSignature},
		{"another time", "evt_1", fmt.Sprint(noon.Unix() + 1), good, "body", noon, ErrSignature},
		{"of another scheme", "evt_1", at, "v2" + good[2:], "body", noon, ErrSignature},
		{"too old", "evt_1", at, good, "body", noon.Add(Tolerance + time.Second), ErrTooOld},
		{"too new", "evt_1", at, good, "body", noon.Add(-Tolerance - time.Second), ErrTooNew},
		{"no time", "evt_1", "", good, "body", noon, ErrHeaders},
		{"no id", "", at, good, "body", noon, ErrHeaders},
		{"no signature", "evt_1", at, "", "body", noon, ErrHeaders},
		{"behind too many others", "evt_1", at, strings.Repeat("v1,AAAA ", maxSignaturesInAHeader) + good, "body", noon, ErrSignature},
	} {
		if got := Verify(s, c.id, c.at, c.signature, []byte(c.body), c.now); !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestSecretsHide(t *testing.T) {
	s := secretOf(t, 1)
	coded := strings.TrimPrefix(s.Text(), secretPrefix)
	list, err := json.Marshal(struct{ S Secret }{s})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%#v", s), fmt.Sprintf("%+v", struct{ S Secret }{s}), string(list)} {
		if strings.Contains(text, coded) || !strings.Contains(text, "whsec_...") {
			t.Errorf("%s shows too much or nothing", text)
		}
	}
	same, err := ParseSecret(s.Text())
	if err != nil || !bytes.Equal(same.key, s.key) {
		t.Errorf("read again: %v", err)
	}
	for _, c := range []struct{ text, want string }{
		{coded, `begins with "whsec_"`},
		{"whsec_" + coded[1:], "was a part of it lost"},
		{"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23)), "this one has 23"},
		{"whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)), "this one has 65"},
	} {
		if _, err := ParseSecret(c.text); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), coded[1:]) {
			t.Errorf("%.10s...: %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := NewSecret(strings.NewReader("too short")); err == nil {
		t.Error("a secret of nine bytes was made")
	}
}

func TestAddresses(t *testing.T) {
	home := Addresses{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16")}}
	for _, c := range []struct {
		ip     string
		open   bool
		atHome bool
	}{
		{"8.8.8.8", true, true},
		{"2a00:1450:4001:800::200e", true, true},
		{"127.0.0.1", false, true},
		{"::ffff:127.0.0.1", false, true},
		{"::ffff:8.8.8.8", true, true},
		{"10.1.2.3", false, true},
		{"10.2.2.3", false, false},
		{"172.16.0.1", false, false},
		{"192.168.1.1", false, false},
		{"169.254.169.254", false, false}, // where clouds keep the keys of a machine
		{"100.64.0.1", false, false},
		{"0.0.0.0", false, false},
		{"0.1.2.3", false, false},
		{"192.0.0.9", false, false},
		{"198.18.0.1", false, false},
		{"224.0.0.1", false, false},
		{"255.255.255.255", false, false},
		{"240.0.0.1", false, false},
		{"::1", false, false},
		{"::", false, false},
		{"::127.0.0.1", false, false},
		{"fe80::1", false, false},
		{"fe80::1%eth0", false, false},
		{"fec0::1", false, false},
		{"fd00:ec2::254", false, false},
		{"ff02::1", false, false},
		{"64:ff9b::7f00:1", false, false},
		{"2002:7f00:1::", false, false},
		{"2001::1", false, false},
		{"2001:db8::1", false, false},
	} {
		ip := netip.MustParseAddr(c.ip)
		if got := (Addresses{}).Check(ip) == nil; got != c.open {
			t.Errorf("%s open: %t, want %t", c.ip, got, c.open)
		}
		if got := home.Check(ip) == nil; got != c.atHome {
			t.Errorf("%s where some of it is allowed: %t, want %t", c.ip, got, c.atHome)
		}
	}
}

func TestURLs(t *testing.T) {
	for _, c := range []struct {
		url, want string // "": it is good
		a         Addresses
	}{
		{"https://shop.example.com/hook?x=1", "", Addresses{}},
		{"https://8.8.8.8:8443/hook", "", Addresses{}},
		{"http://shop.example.com/hook", "not encrypted", Addresses{}},
		{"http://shop.example.com/hook", "", Addresses{Plain: true}},
		{"http://127.0.0.1:9/hook", "not an address of the open internet", Addresses{Plain: true}},
		{"http://127.0.0.1:9/hook", "", Addresses{Allow: prefixes("127.0.0.0/8")}},
		{"http://localhost:9/hook", "", Addresses{Allow: prefixes("127.0.0.0/8")}},
		{"http://8.8.8.8/hook", "not encrypted", Addresses{Allow: prefixes("127.0.0.0/8")}},
		{"https://localhost/hook", "a name within a machine", Addresses{}},
		{"https://a.localhost./hook", "a name within a machine", Addresses{}},
		{"https://intranet/hook", "a private network", Addresses{}},
		{"https://[::1]/hook", "not an address of the open internet", Addresses{}},
		{"https://user:secret@shop.example.com/", "a name or password", Addresses{}},
		{"https://shop.example.com/#part", "a fragment", Addresses{}},
		{"ftp://shop.example.com/", "neither https", Addresses{}},
		{"https:///path", "names no host", Addresses{}},
		{"https://shop.example.com/\x7f", "not a URL", Addresses{}},
		{"https://shop.example.com/" + strings.Repeat("a", maxURL), "longer than", Addresses{}},
	} {
		_, err := c.a.CheckURL(c.url)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%.60s: %v", c.url, err)
		case c.want != "" && (!errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%.60s: %v, want %q", c.url, err, c.want)
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%.60s: the error repeats the password: %v", c.url, err)
		}
	}
}

var here = Addresses{Allow: prefixes("127.0.0.0/8", "::1/128")}

func post(url string) Post {
	return Post{URL: url, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte("{}")}
}

func TestAnswers(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	slow := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			if b, _ := io.ReadAll(r.Body); string(b) != "{}" || r.Header.Get("Content-Type") != "application/json" || r.Method != http.MethodPost {
				t.Errorf("%s %q %v arrived", r.Method, b, r.Header)
			}
			io.WriteString(w, "success")
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/away":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case "/long":
			io.WriteString(w, strings.Repeat("x", 10*maxAnswer))
		case "/slow":
			<-slow
		case "/broken":
			w.Header().Set("Content-Length", "10")
			io.WriteString(w, "x")
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer s.Close()
	defer close(slow)
	p := NewPoster(here, 300*time.Millisecond, nil, time.Now)
	defer p.Close()
	for _, c := range []struct {
		path   string
		status int
		taken  bool
		why    string
	}{
		{"/ok", 200, true, ""},
		{"/gone", 410, false, "answered 410"},
		{"/away", 307, false, "redirect"},
		{"/long", 200, true, ""},
		{"/slow", 0, false, "did not answer in time"},
		{"/broken", 200, false, "broke off"},
		{"/else", 500, false, "answered 500"},
	} {
		a := p.Post(t.Context(), post(s.URL+c.path))
		if a.Status != c.status || a.Taken != c.taken || !strings.Contains(a.Why, c.why) || a.Late != (c.path == "/slow") || a.Gone != (c.path == "/gone") ||
			len(a.Body) > keptAnswer || a.At.IsZero() || a.Taken != (a.Why == "") {
			t.Errorf("%s: %+v", c.path, a)
		}
	}
	x := post(s.URL + "/ok")
	x.Accept = func(status int, body []byte) bool { return status == 200 && string(body) == "OK" }
	if a := p.Post(t.Context(), x); a.Taken || !strings.Contains(a.Why, "not the one that takes") || string(a.Body) != "success" {
		t.Errorf("an answer that is not accepted: %+v", a)
	}
	s.CloseClientConnections()
	dead := httptest.NewServer(nil)
	dead.Close()
	if a := p.Post(t.Context(), post(dead.URL)); a.Taken || a.Why != "no connection to the receiver could be made" {
		t.Errorf("nobody there: %+v", a)
	}
}

// TestNamesOfPrivateAddresses: a name passes, and the connection does not, because of what the name stands for.
func TestNamesOfPrivateAddresses(t *testing.T) {
	reached := false
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	trust := &tls.Config{RootCAs: roots, ServerName: "example.com"}
	port := s.URL[strings.LastIndex(s.URL, ":"):]
	// Something is allowed, so that "localhost" passes as a name; 127.0.0.1 and ::1 are not it.
	strict := NewPoster(Addresses{Allow: prefixes("10.9.9.9/32")}, time.Second, trust, time.Now)
	defer strict.Close()
	if a := strict.Post(t.Context(), post("https://localhost"+port)); a.Taken || reached || !strings.Contains(a.Why, "not an address of the open internet") {
		t.Errorf("%+v, reached: %t", a, reached)
	}
	open := NewPoster(here, time.Second, trust, time.Now)
	defer open.Close()
	if a := open.Post(t.Context(), post("https://localhost"+port)); !a.Taken || !reached {
		t.Errorf("where it is allowed: %+v", a)
	}
	untrusting := NewPoster(here, time.Second, nil, time.Now)
	defer untrusting.Close()
	if a := untrusting.Post(t.Context(), post("https://localhost"+port)); a.Taken || !strings.Contains(a.Why, "certificate") {
		t.Errorf("a certificate that nobody knows: %+v", a)
	}
}

// TestOneSlowReceiverDelaysNobodyElse: the events of one who answers get through as if the other ones were not there.
func TestOneSlowReceiverDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const within = 10 * time.Second
		p := NewPool(PoolConfig{UnderWay: 16, PerReceiver: 4, Queue: 100, Lanes: 100, Within: within})
		defer p.Close()
		dead := func(ctx context.Context) Answer {
			select {
			case <-time.After(within):
			case <-ctx.Done():
			}
			return Answer{Late: true}
		}
		var taken sync.WaitGroup
		well := func(n int) {
			for range n {
				taken.Add(1)
				if !p.Offer(Parcel{
					Receiver: "well",
					Post:     func(context.Context) Answer { time.Sleep(20 * time.Millisecond); return Answer{Taken: true} },
					Done:     func(Answer) { taken.Done() },
				}) {
					t.Fatal("no room for the one who is well")
				}
			}
			taken.Wait()
		}
		well(1) // is known to be
		var late atomic.Int32
		for i := range 40 { // more than posts at once: whatever they get, some is left
			for range 20 {
				if !p.Offer(Parcel{Receiver: fmt.Sprint("dead", i), Post: dead, Done: func(Answer) { late.Add(1) }}) {
					t.Fatal("no room for a dead one")
				}
			}
		}
		time.Sleep(within / 2) // nobody knows yet that they are dead
		begun := time.Now()
		well(100)
		if took := time.Since(begun); took > 600*time.Millisecond { // 100 posts of 20 ms, four at a time
			t.Errorf("took %v beside receivers who do not answer", took)
		}
		if _, underWay := p.Waiting(); underWay != 12 {
			t.Errorf("%d posts to the unknown under way, want three quarters of 16", underWay)
		}
		time.Sleep(4 * within) // everybody knows
		begun = time.Now()
		well(100)
		if took := time.Since(begun); took > 600*time.Millisecond {
			t.Errorf("took %v beside receivers who are known to be slow", took)
		}
		if _, underWay := p.Waiting(); underWay != 8 {
			t.Errorf("%d posts to the slow under way, want half of 16", underWay)
		}
		if late.Load() < 30 {
			t.Errorf("only %d of the dead were tried", late.Load())
		}
	})
}

func TestPoolHasBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(PoolConfig{UnderWay: 4, PerReceiver: 1, Queue: 2, Lanes: 2})
		var most, now, done atomic.Int32
		x := func(r string) Parcel {
			return Parcel{
				Receiver: r,
				Post: func(ctx context.Context) Answer {
					if n := now.Add(1); n > most.Load() {
						most.Store(n)
					}
					defer now.Add(-1)
					select {
					case <-time.After(time.Second):
					case <-ctx.Done():
					}
					return Answer{Taken: true}
				},
				Done: func(Answer) { done.Add(1) },
			}
		}
		for i, want := range []bool{true, true, true, false} { // one under way, two wait
			if got := p.Offer(x("a")); got != want {
				t.Errorf("event %d of one receiver: %t", i, got)
			}
		}
		if got := p.Room("a"); got != 0 {
			t.Errorf("room for %d in a lane that is full", got)
		}
		if !p.Offer(x("b")) || p.Offer(x("c")) || p.Room("c") != 0 || p.Room("b") != 2 {
			t.Error("lanes are not bounded")
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if done.Load() != 4 || most.Load() != 2 {
			t.Errorf("%d done, at most %d at once", done.Load(), most.Load())
		}
		if got := p.Room("c"); got != 2 {
			t.Errorf("a lane that is done keeps others out: room for %d", got)
		}
		for range 3 {
			p.Offer(x("a"))
		}
		p.Close() // what is under way ends without being told, what waits is forgotten
		if done.Load() != 4 || p.Offer(x("a")) || p.Room("a") != 0 {
			t.Errorf("a closed pool has %d done", done.Load())
		}
	})
}

func TestSchedule(t *testing.T) {
	at := noon
	for n := 1; ; n++ {
		again, ok := Next(n, at, 0)
		if !ok {
			if n != Attempts || at.Sub(noon) < 75*time.Hour || at.Sub(noon) > 76*time.Hour {
				t.Errorf("%d attempts within %v", n, at.Sub(noon))
			}
			break
		}
		late, _ := Next(n, at, 0.999)
		if gap := again.Sub(at); late.Sub(at) < gap*109/100 || late.Sub(at) > gap*110/100 {
			t.Errorf("attempt %d: between %v and %v", n+1, gap, late.Sub(at))
		}
		at = again
	}
	if _, ok := Next(0, at, 0); ok {
		t.Error("attempt 0 can fail")
	}
}

// BenchmarkDeliver posts signed events to receivers on this machine: deliveries a second, with what the receivers cost.
func BenchmarkDeliver(b *testing.B) {
	var got atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		got.Add(1)
	}))
	defer s.Close()
	poster := NewPoster(here, 10*time.Second, nil, time.Now)
	defer poster.Close()
	p := NewPool(PoolConfig{})
	defer p.Close()
	secret := []Secret{secretOf(b, 1)}
	body := bytes.Repeat([]byte("x"), 600)
	var all sync.WaitGroup
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		all.Add(1)
		x := Parcel{
			Receiver: fmt.Sprint("receiver", i%100),
			Post: func(ctx context.Context) Answer {
				at := time.Now()
				h := http.Header{HeaderID: {"evt"}, HeaderTimestamp: {fmt.Sprint(at.Unix())}, HeaderSignature: {Sign(secret, "evt", at, body)}}
				return poster.Post(ctx, Post{URL: s.URL, Header: h, Body: body})
			},
			Done: func(a Answer) {
				if !a.Taken {
					b.Error(a.Why)
				}
				all.Done()
			},
		}
		for !p.Offer(x) {
			time.Sleep(100 * time.Microsecond)
		}
	}
	all.Wait()
	b.ReportMetric(float64(got.Load())/b.Elapsed().Seconds(), "deliveries/s")
}
