# Everything a newcomer needs: make demo, make test. See README.md.
GO      ?= go
BIN     := bin/holdfast
VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

.PHONY: build demo test race compiler sdk browser planted lint fuzz drills drills-many bench clean

build:
	@mkdir -p bin
	$(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o $(BIN) ./cmd/holdfast

demo: build
	@mkdir -p out
	$(BIN) demo --json out/demo.json --report out/demo.html

# Property tests draw the same cases every time here, so that what was green is green again. `make fuzz` draws others.
test planted race: export RAPID_SEED ?= 20150527

# All of it: unit tests, 1,000 simulated schedules, planted faults, the race detector, real processes and cables. What people saw who walked through
# the pages of a real fleet is in out/pages afterwards.
test: export HOLDFAST_PICTURES ?= $(CURDIR)/out/pages
test: build sdk browser
	@mkdir -p $(HOLDFAST_PICTURES)
	$(GO) vet ./...
	$(GO) test -vet=off -timeout 10m ./...
	$(MAKE) planted race

# The official Alipay SDK, as the lock file has it, that the gateway is tested with. Without it the test fails, unless
# HOLDFAST_WITHOUT_NODE_SDK is set; then it is skipped.
SDK := alipay/testdata/node
sdk: $(SDK)/node_modules/.installed-lock.json

$(SDK)/node_modules/.installed-lock.json: $(SDK)/package-lock.json
	@command -v npm >/dev/null || { apt-get update && apt-get install -y --no-install-recommends nodejs npm; } || test -n "$$HOLDFAST_WITHOUT_NODE_SDK"
	@cd $(SDK) && npm ci --no-audit --no-fund --ignore-scripts && cp package-lock.json node_modules/.installed-lock.json \
		|| test -n "$$HOLDFAST_WITHOUT_NODE_SDK"

# Chromium, in which the pages are tried, and the accessibility rules of axe-core, if they can be had. Without Chromium the test fails,
# unless HOLDFAST_WITHOUT_BROWSER is set; then it is skipped.
AXE := page/pagetest/testdata/axe
browser:
	@test -n "$$HOLDFAST_WITHOUT_BROWSER" || command -v chromium >/dev/null || { apt-get update && apt-get install -y --no-install-recommends chromium; }
	@test -n "$$HOLDFAST_WITHOUT_BROWSER" || test -e $(AXE)/node_modules/axe-core || ! command -v npm >/dev/null \
		|| (cd $(AXE) && npm ci --no-audit --no-fund --ignore-scripts) || echo "axe-core cannot be had: the pages are tried without it" >&2

compiler:
	@command -v cc >/dev/null || { apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev; }

planted:
	$(GO) test -vet=off -timeout 5m -tags planted -run Planted ./sim ./slot ./transit ./site ./ledger ./bank ./bank/clerk ./pay

# The race detector needs a C compiler. With it fleets beside each other take longer than one after the other.
RACE ?= ./site ./shard ./link ./fault ./httpapi ./client ./page
race: compiler
	$(GO) test -race -vet=off -timeout 10m -short -parallel 1 $(RACE)
	$(GO) test -race -vet=off -timeout 5m -run 'EverythingAtOnce|Checkpoint' ./store

lint:
	test -z "$$($(GO) run mvdan.cc/gofumpt@v0.12.0 -l .)"
	$(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

# A minute of fuzzing for each decoder of bytes from outside, and new cases for the property tests.
fuzz:
	./.ci/fuzz 60s
	RAPID_CHECKS=5000 $(GO) test -count 1 -timeout 30m . ./ledger ./transit ./slot ./store ./drill

drills: build
	@mkdir -p out
	$(BIN) drill run all --json out/drills.json --evidence out/drills-evidence.json.gz

# The losses of whole sites, at three sites and at five, each with its own evidence. About a quarter of an hour.
MANY := site-cut site-kill site-stop one-way-cut
drills-many: build
	@mkdir -p out
	for sites in 3 5; do for name in $(MANY); do \
		$(BIN) drill run $$name --sites $$sites --json out/$$name-$$sites.json --evidence out/$$name-$$sites-evidence.json.gz || exit 1; \
		$(BIN) check out/$$name-$$sites-evidence.json.gz || exit 1; \
	done; done
	for name in two-sites-of-five minority-side city-cut; do \
		$(BIN) drill run $$name --json out/$$name.json --evidence out/$$name-evidence.json.gz || exit 1; \
		$(BIN) check out/$$name-evidence.json.gz || exit 1; \
	done

bench: build
	@mkdir -p out
	$(BIN) bench ledger --json out/bench-ledger.json
	$(BIN) bench commit --json out/bench-commit.json
	$(BIN) bench shards --json out/bench-shards.json
	$(BIN) bench crossing --json out/bench-crossing.json
	$(BIN) bench http --json out/bench-http.json
	$(BIN) bench pay --json out/bench-pay.json
	$(BIN) bench idle --json out/bench-idle.json
	$(BIN) bench restart --json out/bench-restart.json
	$(BIN) bench history --json out/bench-history.json

clean:
	rm -rf bin out
