package drill

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

//go:embed payer.mjs
var payerProgram []byte

// SDKVariable names the directory below which node_modules has the official SDK.
const SDKVariable = "HOLDFAST_NODE_SDK"

// sdkInRepository is where "make sdk" puts it.
const sdkInRepository = "alipay/testdata/node"

// FindSDK finds Node and the official Alipay SDK: below the directory that [SDKVariable] names, or in the repository that the current directory
// is in. The error says what to install.
func FindSDK() (node, dir string, err error) {
	if node, err = exec.LookPath("node"); err != nil {
		return "", "", fmt.Errorf("the official Alipay SDK needs Node, and none was found: install Node 18 or newer with npm (%w)", err)
	}
	if dir = os.Getenv(SDKVariable); dir != "" {
		return node, dir, hasSDK(dir)
	}
	at, err := os.Getwd()
	if err != nil {
		return "", "", err
	}
	for {
		dir = filepath.Join(at, sdkInRepository)
		if hasSDK(dir) == nil {
			return node, dir, nil
		}
		up := filepath.Dir(at)
		if up == at {
			break
		}
		at = up
	}
	return "", "", fmt.Errorf("the official Alipay SDK for Node is not installed: say make sdk in the repository and run the drill there, or npm install alipay-sdk in any directory and name it in %s", SDKVariable)
}

func hasSDK(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "alipay-sdk", "package.json")); err != nil {
		return fmt.Errorf("%s has no official Alipay SDK: say npm install alipay-sdk there (%w)", dir, err)
	}
	return nil
}

// needsSDK is what has to be there before a drill begins that pays through the SDK.
func needsSDK() error {
	_, _, err := FindSDK()
	return err
}

// sdkPayers is a Node program that pays through the SDK.
type sdkPayers struct {
	proc  *process
	deeds string
	shop  *vendor
}

const (
	sdkShops   = 2                      // that pay one after another
	sdkEvery   = 250 * time.Millisecond // with usualCores; see bazaar.pace
	sdkAsks    = 100 * time.Millisecond // between two questions for an outcome that is not known
	sdkEndTime = 30 * time.Second       // that it may take to know every outcome, when the load is over
)

// startSDK starts a program that pays the seller through the gateway at an address, with the phones of the buyers.
func (m *bazaar) startSDK(s *vendor, gateway string, buyers []*shopper) (*sdkPayers, error) {
	node, dir, err := FindSDK()
	if err != nil {
		return nil, err
	}
	type phoneJSON struct {
		Sequence uint32 `json:"sequence"`
		Secret   []byte `json:"secret"`
	}
	config := struct {
		SDK      string      `json:"sdk"`
		App      string      `json:"app"`
		Key      string      `json:"key"`
		Platform string      `json:"platform"`
		Gateway  string      `json:"gateway"`
		Deeds    string      `json:"deeds"`
		Shops    int         `json:"shops"`
		Every    int64       `json:"every"` // milliseconds, as the next
		Asks     int64       `json:"asks"`
		Phones   []phoneJSON `json:"phones"`
	}{
		filepath.Join(dir, "package.json"), s.app, s.key, s.platform, gateway, filepath.Join(m.fleet.dir, "sdk-deeds.jsonl"), sdkShops,
		m.pace(sdkEvery).Milliseconds(), sdkAsks.Milliseconds(), nil,
	}
	if config.SDK, err = filepath.Abs(config.SDK); err != nil {
		return nil, err
	}
	for _, b := range buyers {
		for _, p := range b.phones {
			config.Phones = append(config.Phones, phoneJSON{b.owner.Sequence(), p.secret})
		}
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	file, program := filepath.Join(m.fleet.dir, "sdk.json"), filepath.Join(m.fleet.dir, "payer.mjs")
	if err := errors.Join(os.WriteFile(file, text, 0o600), os.WriteFile(program, payerProgram, 0o600)); err != nil {
		return nil, fmt.Errorf("write the program that pays through the SDK: %w", err)
	}
	x := &sdkPayers{deeds: config.Deeds, shop: s, proc: &process{
		spawn: m.fleet.spawn, program: node, args: []string{program, file}, logFile: filepath.Join(m.fleet.dir, "sdk.log"),
	}}
	return x, x.proc.start()
}

// stop lets the program finish what it has begun, and returns what it was told.
func (x *sdkPayers) stop() ([]deed, error) {
	if err := x.proc.unexpected(); err != nil {
		return nil, fmt.Errorf("the program that pays through the SDK: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), sdkEndTime)
	defer cancel()
	if err := x.proc.terminate(ctx); err != nil {
		return nil, fmt.Errorf("the program that pays through the SDK: %w", err)
	}
	text, err := os.ReadFile(x.deeds)
	if err != nil {
		return nil, fmt.Errorf("read what the SDK was told: %w", err)
	}
	return readDeeds(text, x.shop)
}

func readDeeds(text []byte, s *vendor) (list []deed, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d := deed{seller: s.owner}
		if err := json.Unmarshal(lines.Bytes(), &d); err != nil {
			return nil, fmt.Errorf("read what the SDK was told: %w", err)
		}
		list = append(list, d)
	}
	return list, lines.Err()
}

func (x *sdkPayers) close() error {
	if x == nil || !x.proc.running() {
		return nil
	}
	return x.proc.kill()
}
