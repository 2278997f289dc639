package alipay

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

const nodeDir = "testdata/node"

// allowNoNode is the variable that lets these tests be skipped where the SDK cannot be had. Nothing else does.
const allowNoNode = "HOLDFAST_WITHOUT_NODE_SDK"

// installSDK puts the official SDK into node_modules, by the lock file. `make test` has done it before.
func installSDK(t *testing.T) {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(nodeDir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	stamp := filepath.Join(nodeDir, "node_modules", ".installed-lock.json")
	if installed, err := os.ReadFile(stamp); err == nil && string(installed) == string(lock) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	npm.Dir = nodeDir
	out, err := npm.CombinedOutput()
	if err == nil {
		err = os.WriteFile(stamp, lock, 0o644)
	}
	if err == nil {
		return
	}
	if os.Getenv(allowNoNode) != "" {
		t.Skipf("the official SDK is not installed, and %s allows that: %v", allowNoNode, err)
	}
	t.Fatalf("the official Alipay SDK for Node could not be installed (npm ci in alipay/%s): %v\n%s\n"+
		"Install Node 18 or newer with npm, and let it reach its registry; or set %s=1 to skip what only the SDK can prove.", nodeDir, err, out, allowNoNode)
}

// TestOfficialNodeSDK: the unmodified SDK goes through every method, and through what it does beside calling them.
func TestOfficialNodeSDK(t *testing.T) {
	installSDK(t)
	d := newFake()
	g, err := New(Config{Desk: d, Apps: d, Key: platformKey()})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/gateway.do", g)
	mux.Handle("/v3/", g)
	mux.HandleFunc("/made", func(w http.ResponseWriter, _ *http.Request) {
		refund := testNotice
		refund.Refund = &RefundPart{"R1", 300, testNow}
		old := must(testNotice.Form(platformKey(), RSA))
		made := map[string]any{
			"notices": []string{must(testNotice.Form(platformKey(), RSA2)), must(refund.Form(platformKey(), RSA2)), must(testHold.Form(platformKey(), RSA2)), old},
			"back":    must(ReturnURL(platformKey(), RSA2, "https://shop.example/back?mine=1", testReturn)),
		}
		if err := json.NewEncoder(w).Encode(made); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "check.mjs")
	node.Dir = nodeDir
	node.Env = append(os.Environ(), "GATEWAY="+server.URL, "NO_PROXY=127.0.0.1", "TZ=UTC")
	node.Stderr = &testLog{t}
	out, err := node.Output()
	if err != nil {
		t.Fatalf("the SDK is not content: %v", err)
	}
	var seen struct{ Good, Bad, V3 []string }
	if err := json.Unmarshal(out, &seen); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, m := range methods {
		if !slices.Contains(seen.Good, m.name) || !slices.Contains(seen.Bad, m.name) || m.v3 != "" && !slices.Contains(seen.V3, m.name) {
			t.Errorf("the SDK did not go through %s, good and bad and in v3", m.name)
		}
	}
}

// testLog shows what the SDK complains of.
type testLog struct{ t *testing.T }

func (l *testLog) Write(b []byte) (int, error) {
	l.t.Logf("%s", b)
	return len(b), nil
}
