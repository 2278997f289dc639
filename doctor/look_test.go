package doctor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/link"
)

// TestInspect looks at this machine with a real configuration and real certificates.
func TestInspect(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	ca, err := link.NewCA("test", now, 365*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.NewSiteCert(1, now, 20*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("ca.crt", ca.Pair().Cert)
	write("site.crt", pair.Cert)
	write("site.key", pair.Key)
	file := write("site.toml", []byte(`
site = 1
name = "hangzhou"
cluster = "test"
data = "`+dir+`/not/there/yet"
shards = 0
[link]
listen = ["127.0.0.1:7001", "127.0.0.2:7001"]
ca = "`+dir+`/ca.crt"
cert = "`+dir+`/site.crt"
key = "`+dir+`/site.key"
[[peer]]
site = 2
name = "shanghai"
addresses = ["127.0.1.1:7001", "127.0.2.1:7001"]
`))
	m, err := Inspect(file, now)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range ExamineMachine(m) {
		found[f.Code] = true
	}
	for _, code := range []string{"config-invalid", "sites-two", "cert-expires"} {
		if !found[code] {
			t.Errorf("%s was not found: %v", code, found)
		}
	}
	if m.Disk == nil || m.Disk.Median <= 0 || m.Disk.Slow < m.Disk.Median {
		t.Errorf("disk %+v, %q", m.Disk, m.DiskProblem)
	}
	if runtime.GOOS == "linux" && (m.Disk.Free == 0 || !found["carrier-same-hop"] || m.Files == 0) {
		t.Errorf("%+v, hops %v, %d files", m.Disk, m.Hops, m.Files)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 4 {
		t.Errorf("%d files are left in the directory, %v", len(left), err)
	}
}

func TestInspectSaysWhyAFileIsNoConfiguration(t *testing.T) {
	if m, err := Inspect(filepath.Join(t.TempDir(), "none.toml"), noon); err == nil {
		t.Errorf("a file that does not exist was read as %+v", m)
	}
}

func TestHopToLoopback(t *testing.T) {
	hop, err := hopTo(netip.MustParseAddr("127.0.0.1"))
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says")
	}
	if err != nil || hop.Device != "lo" || hop.Gateway.IsValid() {
		t.Errorf("%v, %v; want lo", hop, err)
	}
}

func TestClockOf(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(time.Minute).UTC().Format(http.TimeFormat))
	}))
	defer s.Close()
	ahead, err := clockOf(t.Context(), s.URL)
	if err != nil || ahead < 30*time.Second || ahead > 90*time.Second {
		t.Errorf("%v, %v; want a minute", ahead, err)
	}
}

// Every site that answers is asked itself, the first where it was reached, whatever it calls itself; what could not be asked is told.
func TestAskAsksEverySite(t *testing.T) {
	var other *httptest.Server
	serve := func(self int) *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/v1/sites":
				fmt.Fprintf(w, `{"sites":[{"site":1,"self":%v,"http":"http://:8080","reachable":true,"carriers":[]},
					{"site":2,"self":%v,"http":%q,"reachable":true,"carriers":[]},{"site":3,"reachable":true,"carriers":[]},
					{"site":4,"reachable":false,"carriers":[]}]}`, self == 1, self == 2, other.URL)
			case "/v1/shards":
				fmt.Fprint(w, `{"shards":[]}`)
			default:
				fmt.Fprint(w, `{}`)
			}
		}))
	}
	other = serve(2)
	defer other.Close()
	first := serve(1)
	defer first.Close()
	x, err := Ask(t.Context(), first.URL, func(base string) (*client.Client, error) {
		return client.New(client.Config{Sites: []string{base}, Hedge: -1})
	})
	if err != nil {
		t.Fatal(err)
	}
	_, one := x.Clocks[1]
	_, two := x.Clocks[2]
	if !one || !two || len(x.Clocks) != 2 || len(x.Views) != 1 || len(x.Views[2]) != 4 {
		t.Errorf("clocks %v, views %v", x.Clocks, x.Views)
	}
	if len(x.Unasked) != 1 || x.Unasked[3] == "" {
		t.Errorf("not asked: %v; want site 3, which answers the others and says not where its API is", x.Unasked)
	}
}
