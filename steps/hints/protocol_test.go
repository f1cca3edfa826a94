package hints_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/hints"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Messages that the embedded lab's components cannot be made to send arrive over the
// protocol of the API server, and have their hint on the other side.
func TestSaidOverTheProtocol(t *testing.T) {
	b, err := os.ReadFile("testdata/said.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Over, Message string }
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	message := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure,
			Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity, Message: message,
		})
	}))
	defer s.Close()
	client, err := kubernetes.NewForConfig(&rest.Config{Host: s.URL, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, m := range list {
		if m.Over != "kubernetes" {
			continue
		}
		said++
		message = m.Message
		_, err := client.CoreV1().Pods("a").Get(t.Context(), "web-0", metav1.GetOptions{})
		err = fmt.Errorf("pod a/web-0: %w", kubekit.Classify(err))
		if got, want := engine.HintOf(err), hints.For(m.Message); got != want || want == "" {
			t.Errorf("%q: hint %q, want %q", m.Message, got, want)
		}
	}
	if said == 0 {
		t.Error("no message")
	}
}
