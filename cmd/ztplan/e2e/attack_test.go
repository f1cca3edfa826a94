package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// An attack is something that a run must hold against.
type attack struct {
	item  string // the object of the attack
	name  string // the deed
	guard string // the narrower tests that fail without the mend
	quick bool   // is a part of make test
	do    func(t *testing.T, w *world) (broke string)
}

func attacks() []attack {
	return []attack{
		{"check and use", "plan and manifest replaced while a run with --expect waits", "TestInputsAreReadOnce", true, replacedInputs},
		{"check and use", "a plan through a pipe", "TestPlanThroughAPipe", false, pipedPlan},
		{"check and use", "an object changed between review and write", "TestReview", true, changedWorld},
		{"keys, full disk", "a disk with one free block for Vault's keys", "TestFullDisk", false, fullDisk},
		{"keys, killed", "killed between sync and link of the key file; a second link", "TestKilled, TestOtherNames", false, orphanedKeys},
		{"window of init", "SIGKILL to the process group at four moments of init", "TestCrashInit, TestDetached", false, killedInit},
		{"fencing", "SIGSTOP past the lease, takeover, SIGCONT", "TestAStoppedRun, TestNoEditStartsInDoubt", false, stoppedRun},
		{"environment", "every VAULT_* variable hostile", "TestIgnoredVariables, TestEnvironmentIsNotUsed, TestWrappedAnswer", false, hostileVariables},
		{"review", "a chart with an object, or a Secret's value, more than reviewed", "TestSecretsByDataFlow, TestDigestSeesWhatMatters", false, changedChart},
		{"redirects", "a chart repository that leads elsewhere", "TestCredentialsDoNotFollowRedirects, TestRegistryPasswordStaysWithTheRegistry", false, redirectedCredentials},
		{"excerpts", "mistakes beside secrets in plan, variables, manifest and key file", "TestExcerptsShowNoSecrets", false, secretExcerpts},
		{"secrets", "20 credentials in a chart, in every form of output", "TestSecretsByDataFlow, TestShapesAreRedacted", false, plantedSecrets},
		{"foreign text", "hostile text from a server, the cluster and a plan, in every form of output", "TestForeignText, TestForeignTextInVerify, TestForeignTextInCommands, TestHostileText", false, hostileText},
		{"crash", "a crash with exit code 2 under the GitHub Action's script", "TestScripts/github_action", true, crashedAction},
		{"crash", "SIGQUIT, which Go ends with 2", "TestACrashIsNoExitCodeOfOurs", false, quit},
		{"report", "--report on a full disk", "TestReportOnAFullDisk", false, fullReport},
		{"report", "--report below a file", "TestReportToAPlaceWithoutRoom", false, func(t *testing.T, w *world) string { return w.reportTo("plan.yaml/report") }},
		{"report", "--report where files cannot be made", "TestReportToAPlaceWithoutRoom", false, func(t *testing.T, w *world) string { return w.reportTo("/proc/self") }},
		{"report", "--report is spoilt while the run writes", "TestEvidenceGoesElsewhere", false, spoiltReport},
		{"broken pipe", "| head -3", "TestBrokenPipeStopsTheRun", true, head},
		{"broken pipe", "the reader of JSON goes away", "TestBrokenPipeStopsTheRun", false, func(t *testing.T, w *world) string { return w.brokenPipe("stdout") }},
		{"broken pipe", "the reader of standard error goes away", "TestBrokenPipeStopsTheRun", false, func(t *testing.T, w *world) string { return w.brokenPipe("stderr") }},
		{"broken pipe", "standard output on a full disk", "TestOutputOnAFullDisk", false, fullOutput},
		{"one root", "two plans with one root at once, on a Vault at an address", "TestTwoAtOnce", false, twoPlans},
		{"one root", "two plans with one root at once, on a Vault in the cluster", "TestTwoAtOnce, TestWhoNeedsALock", false, twoPlansInCluster},
		{"root without key", "a root without its key", "TestRootWithoutItsKey", false, rootWithoutKey},
		{"two owners", "two owners of an object, and of a path of Vault", "TestTwoOwners", false, twoOwners},
		{"outage", "the API server is away for 40 s", "TestAnOutageIsWaitedFor", false, longOutage},
		{"lab", "ztlab status and down on a directory that is no lab", "TestDirectoryThatIsNoLab", false, noLab},
		{"open files", "keys, variables and signing key open to others", "TestWrongInputs, TestInputsExposed", false, openFiles},
		{"strange files", "devices, pipes and files of 1 GiB as inputs; Ctrl-C at a silent pipe", "TestWrongInputs, TestInputsRefuseWhatIsNoFile", false, strangeFiles},
		{"size", "100,000 references in one text", "TestLargePlans", false, manyReferences},
		{"size", "a manifest with a map of 10 MB", "TestPlainWideManifest", false, largeMap},
		{"size", "the graph of a chain of 50,000 steps", "TestGraphOfLongChain", false, longChain},
		{"size", "20,000 problems in one plan", "TestProblemsAreCapped", false, manyProblems},
		{"supply chain", "actions by tag", "TestAction, TestWorkflows", false, actionsByTag},
		{"evidence", "changed and exchanged evidence without a key", "TestUnsignedIsInTheResult, TestVerifyResealed", false, resealed},
		{"attempts", "attempts: 0 in a dry run, and connections that break", "TestDryRunWithoutABoundOnAttempts", false, unboundedAttempts},
		{"TLS", "insecure-skip-tls-verify", "TestServerIsAlwaysVerified", false, unverified},
	}
}

// TestAttack makes the attacks of the table on the binaries and a lab. make test
// makes the quick ones in TestOneLab.
func TestAttack(t *testing.T) {
	if !full() {
		t.Skip("the quick attacks are made in TestOneLab; all of them by make attack")
	}
	newWorld(t).attacked(t)
}

// attacked makes the attacks and prints the results.
func (w *world) attacked(t *testing.T) {
	tb := new(table)
	tb.add("ITEM", "ATTACK", "RESULT", "GUARDED BY", "s")
	held, all := 0, 0
	for _, a := range attacks() {
		if !full() && !a.quick {
			continue
		}
		all++
		w.sub(t, strings.ReplaceAll(a.name, "/", "-"), func(t *testing.T) {
			began, result := time.Now(), "BROKE"
			defer func() {
				if t.Skipped() {
					result = "not made"
				}
				tb.add(a.item, a.name, result, a.guard, fmt.Sprintf("%.1f", time.Since(began).Seconds()))
			}()
			if broke := a.do(t, w); broke != "" {
				t.Error(broke)
			}
			if !t.Failed() && !t.Skipped() {
				result = "held"
				held++
			}
		})
	}
	if full() {
		tb.print()
		fmt.Printf("%d of %d attacks held\n", held, all)
	}
}

// TestAttackGuards: the tests that the table and SECURITY.md name exist.
func TestAttackGuards(t *testing.T) {
	known := make(map[string]bool)
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("../../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range function.FindAllStringSubmatch(string(text), -1) {
			known[found[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	security, err := os.ReadFile("../../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	named := string(security)
	for _, a := range attacks() {
		named += "\n" + a.guard
	}
	for _, name := range regexp.MustCompile(`Test\w+`).FindAllString(named, -1) {
		if !known[name] {
			t.Errorf("there is no test %s", name)
		}
	}
}
