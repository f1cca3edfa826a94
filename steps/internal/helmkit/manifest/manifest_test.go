package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestObjects(t *testing.T) {
	objects, err := Objects(`---
# Source: a
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data:
  text: |
    ---
    indented
---
# nothing
---  
apiVersion: v1
kind: ConfigMapList
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}
- {metadata: {name: c}}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: SecretList, items: [{metadata: {name: e}}]}
---
apiVersion: v1
kind: Service
metadata: {name: d----}
spec: {ports: [{port: 80}]}
`)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range objects {
		names = append(names, o.GetKind()+" "+o.GetName())
	}
	if d := cmp.Diff([]string{"ConfigMap a", "ConfigMap b", "ConfigMap c", "Secret e", "Service d----"}, names); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if ports := objects[4].DeepCopy().Object["spec"]; ports == nil { // DeepCopy panics on types other than those of JSON
		t.Error("no spec")
	}
	if _, err := Objects("a: 1\n---\nb: ["); err == nil || !strings.Contains(err.Error(), "document 1") {
		t.Errorf("error %v, want one about document 1", err)
	}
}
