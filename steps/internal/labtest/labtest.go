// Package labtest gives the tests of steps a real world: the embedded lab that
// runs while the tests do.
//
// The lab is not started here, because every package would start its own. Make
// starts one for the whole suite and names it in ZTPLAN_LAB_DIR; tests keep
// apart from each other by namespaces and names of their own.
package labtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
	"github.com/ztplan/ztplan/steps/session"
)

const dirVariable = "ZTPLAN_LAB_DIR"

// A Lab describes a running lab.
type Lab struct {
	Dir        string // the lab's directory
	Kubeconfig string
	Mirrors    []session.Mirror
}

// Running returns the running lab. Under -short the test is skipped; without a
// lab it fails with the way to start one.
func Running(t testing.TB) Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a running lab; skipped under -short")
	}
	if os.Getenv(dirVariable) == "" {
		t.Fatal("no lab: run make test, or start one with bin/ztlab up --lab-dir DIR and set ZTPLAN_LAB_DIR=DIR; -short skips the tests that need it")
	}
	lab, err := status()
	if err != nil {
		t.Fatalf("lab in %s=%s: %v", dirVariable, os.Getenv(dirVariable), err)
	}
	return lab
}

// status asks the lab once per test binary: a suite has one lab.
var status = sync.OnceValues(func() (Lab, error) {
	dir := os.Getenv(dirVariable)
	binary, err := ztlab()
	if err != nil {
		return Lab{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "status", "--lab-dir", dir, "--output", "json")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return Lab{}, fmt.Errorf("ztlab status: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	var answer struct {
		Kubeconfig string            `json:"kubeconfig"`
		Mirrors    map[string]string `json:"mirrors"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		return Lab{}, fmt.Errorf("ztlab status: %w", err)
	}
	if answer.Kubeconfig == "" {
		return Lab{}, errors.New("ztlab status names no kubeconfig: is the lab up?")
	}
	lab := Lab{Dir: dir, Kubeconfig: answer.Kubeconfig}
	for _, from := range slices.Sorted(maps.Keys(answer.Mirrors)) {
		lab.Mirrors = append(lab.Mirrors, session.Mirror{From: from, To: answer.Mirrors[from]})
	}
	return lab, nil
})

// ztlab finds the binary in the bin directory of the module that is tested,
// then on PATH.
func ztlab() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if built := filepath.Join(dir, "bin", "ztlab"); executable(built) {
			return built, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	if found, err := exec.LookPath("ztlab"); err == nil {
		return found, nil
	}
	return "", errors.New("ztlab is neither in bin/ nor on PATH: run make build")
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Env returns an environment wired to the running lab, for a step named after
// the test. Its session is closed when the test ends, its plan directory and
// cache are temporary, and the log of the step goes to the test's log.
func Env(t testing.TB) *engine.Env {
	t.Helper()
	lab := Running(t)
	shared := &engine.Session{}
	t.Cleanup(func() {
		if err := shared.Close(); err != nil {
			t.Errorf("closing the session: %v", err)
		}
	})
	logf := func(prefix string) func(string, ...any) {
		return func(format string, args ...any) {
			t.Helper()
			t.Logf(prefix+format, args...)
		}
	}
	return &engine.Env{
		Plan:     "test",
		Step:     strings.ToLower(filepath.Base(t.Name())),
		Dir:      t.TempDir(),
		CacheDir: filepath.Join(t.TempDir(), "cache"),
		Settings: session.Settings{Cluster: session.Cluster{Kubeconfig: lab.Kubeconfig, Position: dirVariable}, Mirrors: lab.Mirrors},
		Session:  shared,
		Now:      time.Now,
		Logf:     logf("log: "),
		Statusf:  logf("status: "),
		Warnf:    logf("warning: "),
		Record:   func(name string, data any) { t.Logf("record: %s: %v", name, data) },
		Conceal:  func(...engine.Secret) {},
	}
}

// Namespace makes a namespace for the test and deletes it when the test ends, without
// waiting for its content to go.
func Namespace(t testing.TB, env *engine.Env) string {
	t.Helper()
	c, err := kubekit.Connect(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	ctx := engine.AllowWrites(t.Context())
	ns, err := c.Client().CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("namespace for the test: %v", err)
	}
	t.Cleanup(func() { DeleteNamespace(t, env, ns.Name) })
	return ns.Name
}

// DeleteNamespace deletes a namespace that a step made, without waiting.
func DeleteNamespace(t testing.TB, env *engine.Env, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(engine.AllowWrites(context.Background()), 30*time.Second)
	defer cancel()
	c, err := kubekit.Connect(ctx, env)
	if err != nil {
		t.Error(err)
		return
	}
	err = c.Client().CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Errorf("namespace %s: %v", name, err)
	}
}

// Allowed returns when the API server lets a ServiceAccount do something, which it learns a
// moment after the role and its binding were made.
func Allowed(t testing.TB, client kubernetes.Interface, namespace, account string, what authorizationv1.ResourceAttributes) {
	t.Helper()
	for {
		review, err := client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: "system:serviceaccount:" + namespace + ":" + account, ResourceAttributes: &what},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed {
			return
		}
	}
}

// MayReview is Allowed for a ServiceAccount that asks the API server whose a token is.
func MayReview(t testing.TB, client kubernetes.Interface, namespace, account string) {
	t.Helper()
	Allowed(t, client, namespace, account, authorizationv1.ResourceAttributes{Group: "authentication.k8s.io", Resource: "tokenreviews", Verb: "create"})
}

// Unique returns a short text of lower-case letters and digits that no other
// test uses, for names of objects that are not in a namespace.
func Unique(t testing.TB) string {
	t.Helper()
	var b [5]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
