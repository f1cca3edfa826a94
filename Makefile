# Everything runs with Go, git and make; nothing has to be installed by hand.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BIN := $(CURDIR)/bin
GO ?= go
# Where make lab writes its report.
REPORT := lab-report

# The race detector needs a C compiler; without one the tests run without it,
# and say so.
# The arithmetic of the standard library's cryptography shares nothing between
# goroutines, and takes a third of the time of all TLS tests under the race detector.
RACE := $(if $(shell command -v cc || command -v gcc),-race -gcflags=crypto/internal/fips140/...=-race=false)
# A fifth of the CPU time of labs and tests is garbage collection: memory is cheaper.
test quick: export GOGC ?= 400
# What imports plugin, as Helm does through kustomize, is linked by the C linker by default.
# On amd64 Go's own can, in half the time.
INTERNAL := $(if $(filter amd64,$(shell $(GO) env GOARCH)), -linkmode=internal)
# Test binaries have no debug information: linking them takes half the time.
LINK := -ldflags='-w$(INTERNAL)'
# Go does not run a test again whose package, files and environment are as they were.
# Each lab has another folder, so tests on a lab always run; those that start ztplan
# themselves have -count=1.
TEST := $(GO) test $(LINK) -timeout 30m
# Tests of the lab run again when the lab or its versions are others: each that asks for a
# program or a file outside of the lab's module reads ZTLAB_BUILD.
TEST_LAB = cd cmd/ztlab && ZTLAB=$(BIN)/ztlab ZTLAB_BUILD="$$($(GO) tool buildid $(BIN)/ztlab) $$(cksum < $(CURDIR)/go.mod)" $(TEST)

.PHONY: help build ztplan ztlab lab test compiled test-e2e test-fleet test-plain test-raced test-lab-heavy test-lab-raced quick bench drift gallery rotations corpus crash faults attack proof fleet fleet-bench fleet-faults kind-proof check gen fmt vet vet-main analyze vulnerabilities fuzz release release-test clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The lab first: it shows its progress, and compiles most of what ztplan needs as well.
build: ztlab ztplan ## build both binaries into bin/

ztplan:
	$(GO) build -ldflags '-s -w$(INTERNAL)' -o $(BIN)/ztplan ./cmd/ztplan

# The first build of the lab takes minutes: progress says what it needs, and counts.
ztlab:
	cd cmd/ztlab && $(GO) generate ./charts
	cd cmd/ztlab && $(GO) run ./progress -ldflags '-s -w' -o $(BIN)/ztlab .

lab: build ## run plans/lab.yaml on the embedded lab, show the proof, stop the lab
	$(BIN)/ztplan run plans/lab.yaml --lab --report $(REPORT)
	@printf '%s\n' '' \
	  'the report is a page:        $(REPORT)/report.html' \
	  'check its evidence again:    bin/ztplan verify $(REPORT)' \
	  'leave the lab up:            bin/ztplan run plans/lab.yaml --lab --keep' \
	  'look into it then:           export KUBECONFIG=$$(bin/ztlab up)   (the one that is up); bin/ztplan lab down stops it' \
	  'a plan of your own:          bin/ztplan init'

# What precedes a command that needs a lab of its own: it is stopped afterwards.
WITH_LAB = dir=$$(mktemp -d); \
	trap 'status=$$?; $(BIN)/ztlab down --lab-dir $$dir || status=1; rm -rf $$dir; exit $$status' EXIT; \
	$(BIN)/ztlab up --lab-dir $$dir; \
	ZTPLAN_LAB_DIR=$$dir ZTPLAN_BIN=$(BIN)

# One lab serves every test of the main module that does not start its own; each keeps to
# a namespace and a mount of its own. Most tests wait for the lab: two parts run at a time
# on two cores, the longest first; the one that is done takes the next.
test: build compiled ## run all tests, of long tables a few rows
	$(WITH_LAB) $(MAKE) --no-print-directory -k -j2 test-e2e test-raced test-lab-heavy test-lab-raced test-fleet test-plain

# Nothing is compiled while tests run: beside a compiler on two cores, probes of a rotation
# are late. What go list exports is compiled, and not linked.
COMPILED = $(GO) list -export -test
compiled:
	$(COMPILED) ./$(E2E) ./$(FLEET) $(PLAIN_PACKAGES) >/dev/null
	$(COMPILED) $(RACE) $(RACED_PACKAGES) >/dev/null
	cd cmd/ztlab && $(COMPILED) $(LAB_PLAIN_PACKAGES) >/dev/null
	cd cmd/ztlab && $(COMPILED) $(RACE) $(LAB_RACED_PACKAGES) >/dev/null

# Three labs at a time: with more, probes of a rotation are late on two cores, and say so.
E2E := cmd/ztplan/e2e
test-e2e:
	$(TEST) -count=1 -parallel 3 ./$(E2E)

FLEET := cmd/ztplan/fleet/e2e
test-fleet:
	$(TEST) -count=1 ./$(FLEET)

# Packages that start no goroutine gain nothing from the race detector, under which
# their tables take five times as long. Tests of such a package that start some are in
# concurrent_test.go, and run with it. Long tables of other packages that start none are
# in plain_test.go, and run without it. cmd/ztplan/makefile_test.go holds them to it.
PLAIN := cmd/ztplan/attest cmd/ztplan/compare cmd/ztplan/fleet/objects \
	cmd/ztplan/fleet/profiles cmd/ztplan/fleet/record cmd/ztplan/fleet/registry \
	cmd/ztplan/graph cmd/ztplan/history cmd/ztplan/layout \
	cmd/ztplan/lint cmd/ztplan/lint/sarif cmd/ztplan/rbac cmd/ztplan/release \
	cmd/ztplan/verdict engine/dag engine/diff engine/display engine/durable \
	engine/kubeyaml engine/plan engine/plan/document engine/plan/keypath engine/plan/merge \
	engine/plan/source engine/plan/syntax engine/plan/vars engine/sensitive \
	schemas/gen steps steps/evidence steps/evidence/verify steps/hints \
	steps/internal/certmanager steps/internal/certs steps/internal/helmkit/manifest \
	steps/internal/helmkit/values steps/internal/kubekit/kubefields \
	steps/internal/kubekit/kubestatus steps/internal/kubetypes steps/internal/timeline \
	steps/internal/vaultkit/rollover steps/internal/vaultkit/unsealkeys \
	steps/pkiintermediate steps/pkiroot steps/session steps/session/transit
RACED := $(dir $(wildcard $(addsuffix /concurrent_test.go,$(PLAIN))))
UNRACED := $(dir $(wildcard steps/*/plain_test.go))

PLAIN_PACKAGES = $(addprefix ./,$(PLAIN) $(UNRACED))
test-plain:
	$(TEST) $(addprefix ./,$(PLAIN))
	$(TEST) -run '^TestPlain' $(addprefix ./,$(UNRACED))

# The packages that take longest are first: at the end one would run alone.
LONGEST := steps/helminstall steps/vaultunseal steps/applymanifest steps/assertrotation
RACED_PACKAGES = $(addprefix ./,$(LONGEST)) $$($(GO) list ./... | grep -vE '/ztplan/($(subst $(eval) ,|,$(E2E) $(FLEET) $(PLAIN)))$$')
test-raced:
	$(if $(RACE),,@echo "no C compiler: testing without the race detector")
	$(TEST) $(RACE) -run '^TestConcurrent' $(addprefix ./,$(RACED))
	$(TEST) $(RACE) $(RACED_PACKAGES)

# What links the control plane, Vault or cert-manager is tested without the race
# detector: building all of them with it takes longer than everything else. The
# longest is first.
LAB_HEAVY := e2e component/certmanager component/vault controlplane supervisor
test-lab-heavy:
	$(TEST_LAB) -p 1 -skip '^TestIndexedJobsOfPlans$$' $(addprefix ./,$(LAB_HEAVY))
	$(TEST_LAB) -count=1 -run '^TestIndexedJobsOfPlans$$' ./e2e

# As PLAIN, in the lab's module.
LAB_PLAIN := charts component/gateway/adminapi labstate stub

LAB_PLAIN_PACKAGES = $(addprefix ./,$(LAB_HEAVY) $(LAB_PLAIN))
LAB_RACED_PACKAGES = $$($(GO) list ./... | grep -vE '/($(subst $(eval) ,|,$(LAB_HEAVY) $(LAB_PLAIN))|cmd/ztlab)$$')
test-lab-raced:
	$(TEST_LAB) $(addprefix ./,$(LAB_PLAIN))
	$(TEST_LAB) $(RACE) $(LAB_RACED_PACKAGES)

quick: ## test what the branch changed and what imports it, without the race detector: BASE=<commit> to compare with
	.github/quick.sh

bench: build ## measure speed and memory, with the ratio to a peer or a limit
	ZTPLAN_BIN=$(BIN) $(GO) test -run '^$$' -bench . -benchmem -timeout 60m ./engine/... ./steps/... ./cmd/...

drift: build ## make every drift of the table on a finished lab, print what status and run do
	ZTPLAN_BIN=$(BIN) ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 30m -v -run 'TestOneLab/drift$$' ./cmd/ztplan/e2e

gallery: build ## take every plan of plans/ through its life: lint, dry run, run, second run; print what became of it
	ZTPLAN_BIN=$(BIN) ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 30m -v -run 'TestGallery$$' ./cmd/ztplan/e2e

rotations: build ## prove rotations with every server, gateway bug, restart and cut-off rollover; provoke every failure and permission
	ZTPLAN_BIN=$(BIN) ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 60m -v -run 'TestRotations$$' ./cmd/ztplan/e2e

corpus: build ## take charts of every kind of structure from install to upgrade, print what became of them
	$(WITH_LAB) ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 30m -parallel 8 -v -run 'TestCorpus$$' ./steps/helminstall

crash: build ## kill runs at every edit, in Vault's init, and ZTPLAN_KILLS random moments; print what the next runs do
	ZTPLAN_BIN=$(BIN) ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 120m -v -run TestCrash ./cmd/ztplan/e2e

faults: build ## let every kind meet every fault of the API server and of Vault, print what it did
	ZTPLAN_BIN=$(BIN) ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 120m -v -run 'TestFaults|TestInterruptions|TestBackoffIsWaitedFor' ./cmd/ztplan/e2e

attack: build ## make the scripted attacks on the binaries and a lab, print what held
	ZTPLAN_BIN=$(BIN) ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 60m -v -run 'TestAttack$$' ./cmd/ztplan/e2e

fleet: build ## run the plan with its rotation proof on three members of a hub, in waves; let one fail, stop, resume, verify
	ZTPLAN_BIN=$(BIN) ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 30m -v -run 'TestRotations$$' ./cmd/ztplan/fleet/e2e

fleet-faults: build ## let fleets meet what goes wrong with drivers, hubs, members, pods, evidence and stops; print what they did
	ZTPLAN_BIN=$(BIN) ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 60m -v -run 'TestFaults$$' ./cmd/ztplan/fleet/e2e

fleet-bench: build ## measure a fleet: overhead for 200 clusters, requests to the hub, memory of the driver, 1,000 ClusterProfiles, verification
	$(GO) test $(LINK) -run '^$$' -bench . -benchmem ./cmd/ztplan/fleet/...
	ZTPLAN_BIN=$(BIN) ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 30m -v -run 'TestBench(Profiles)?$$' ./cmd/ztplan/fleet/e2e

# The real gateway instead of the lab's stand-in: docker, kind, kubectl and openssl
# have to be there.
APISIX ?= 3.18.0
kind-proof: ## prove rotations on a kind cluster with the real gateway, APISIX=3.16.0 or 3.18.0
	APISIX=$(APISIX) .github/kind/proof.sh

proof: build ## prove rotations with and without a stale or late worker, print how many verdicts were false
	ZTPLAN_BIN=$(BIN) ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 120m -v -run TestProof ./cmd/ztplan/e2e

# Every fuzz target of the module for FUZZTIME. What is found is kept below the
# package's testdata/fuzz; commit it with the fix. Making inputs small is bounded by
# tries: by default it takes a minute for each of the large ones.
FUZZTIME ?= 1m
fuzz: ## fuzz every target for FUZZTIME each (default 1m)
	@grep -rl --include='*_test.go' '^func Fuzz' engine steps cmd/ztplan | sort | while read -r file; do \
	  for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' "$$file"); do \
	    echo "$$(dirname "$$file"): $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 64x "./$$(dirname "$$file")"; \
	  done; \
	done

gen: ## write the generated files: schema, reference
	$(GO) run ./schemas/gen

fmt:
	@files=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l); \
	if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi

vet-main:
	$(GO) vet ./...

vet: vet-main
	cd cmd/ztlab && $(GO) vet ./...

# By version, so that the same commit has the same findings.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
analyze: ## find mistakes that vet leaves out: staticcheck, in both modules
	$(GO) run $(STATICCHECK) ./...
	cd cmd/ztlab && $(GO) run $(STATICCHECK) ./...

vulnerabilities: ## ask the Go vulnerability database about what the program calls
	$(GO) run $(GOVULNCHECK) ./...

check: fmt vet analyze test ## format, vet, staticcheck, generated files and all tests

release: ## build what a release publishes into dist/: static binaries, SBOMs, checksums
	.github/release/build.sh dist

release-test: ## build a release of ztplan twice, and the image's binary: the same bytes, static
	ZTPLAN_FULL=1 $(GO) test $(LINK) -count=1 -timeout 120m -v -run 'TestRelease|TestImage' ./cmd/ztplan

clean: ## remove what build, release and lab made
	rm -rf $(BIN) dist $(REPORT)
