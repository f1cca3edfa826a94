// Package checkup looks, before a run, at the cluster of a plan: whether it answers,
// whether its clock agrees, and whether the user has the permissions that the plan
// needs. It writes nothing.
package checkup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/internal/kubekit"
)

// Cluster checks that the API server answers, and reports its version and its clock.
func Cluster(ctx context.Context, env *engine.Env) (answer, clock engine.Verdict) {
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return engine.Failed(err), engine.NotChecked(errors.New("the API server does not answer"))
	}
	config := cluster.Config()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return engine.Failed(err), engine.NotChecked(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(cluster.Host(), "/")+"/version", nil)
	if err != nil {
		return engine.Failed(err), engine.NotChecked(err)
	}
	began := env.Now()
	resp, err := client.Do(req)
	if err != nil {
		return engine.Failed(err), engine.NotChecked(err)
	}
	defer resp.Body.Close()
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
		return engine.Failed(err), engine.NotChecked(err)
	}
	answer = engine.Verdict{Level: engine.LevelOK, Detail: fmt.Sprintf("%s is Kubernetes %s", cluster.Host(), v.GitVersion)}
	return answer, engine.Skew("the API server", resp.Header.Get("Date"), began, env.Now())
}

// parallel is how many questions are asked at once.
const parallel = 16

// A Need is a permission and who needs it.
type Need struct {
	Who string
	engine.Permission
}

// Access checks that the user has the permissions. Permissions to make namespaces
// are not needed where these exist.
func Access(ctx context.Context, env *engine.Env, needs []Need) engine.Verdict {
	cluster, err := kubekit.Connect(ctx, env)
	if err != nil {
		return engine.NotChecked(err)
	}
	questions := questionsOf(needs)
	if absent, err := absentNamespaces(ctx, cluster, needs); err != nil {
		return engine.NotChecked(err)
	} else if len(absent) == 0 {
		questions = slices.DeleteFunc(questions, func(q question) bool { return q.makesNamespaces() })
	}
	everything := question{verb: "*", group: "*", resource: "*"}
	if all, err := may(ctx, cluster, everything); err == nil && all {
		return engine.Verdict{Level: engine.LevelOK, Detail: fmt.Sprintf("everything, and so all %d that a run needs", len(questions))}
	}
	denied, err := ask(ctx, cluster, questions)
	switch {
	case err != nil:
		return engine.NotChecked(err)
	case len(denied) == 0:
		return engine.Verdict{Level: engine.LevelOK, Detail: fmt.Sprintf("all %d that a run needs", len(questions))}
	}
	v := engine.Verdict{Level: engine.LevelFail, Next: "ztplan rbac PLAN prints the roles for kubectl apply: give them to this user"}
	var texts []string
	for _, q := range denied[:min(len(denied), mostDenied)] {
		texts = append(texts, q.String())
	}
	v.Detail = fmt.Sprintf("%d of %d are missing: this user may not %s", len(denied), len(questions), strings.Join(texts, "; "))
	if more := len(denied) - mostDenied; more > 0 {
		v.Detail += fmt.Sprintf("; and %d more", more)
	}
	if !slices.ContainsFunc(denied, func(q question) bool { return !q.write }) {
		v.Detail += ". Those of a dry run and a status are there"
	}
	return v
}

// mostDenied is how many missing permissions are named.
const mostDenied = 5

// A question is one permission for one verb.
type question struct {
	verb, group, resource, namespace, name, path string

	who   string
	write bool
}

func (q question) String() string {
	text := q.verb + " " + q.path
	if q.path == "" {
		text += q.resource
		if q.group != "" {
			text += "." + q.group
		}
		if q.name != "" {
			text += " " + q.name
		}
		if q.namespace != "" {
			text += " in namespace " + q.namespace
		}
	}
	return text + " (" + q.who + ")"
}

func (q question) makesNamespaces() bool {
	return q.verb == "create" && q.resource == "namespaces" && q.group == "" && q.name == ""
}

func questionsOf(needs []Need) []question {
	at := make(map[question]int)
	var list []question
	for _, n := range needs {
		for _, verb := range n.Verbs {
			q := question{verb: verb, group: n.Group, resource: n.Resource, namespace: n.Namespace, name: n.Name, path: n.Path}
			if i, is := at[q]; is {
				list[i].write = list[i].write && n.Write
				continue
			}
			at[q] = len(list)
			q.who, q.write = n.Who, n.Write
			list = append(list, q)
		}
	}
	return list
}

// absentNamespaces returns the namespaces of permissions that do not exist. One that
// may not be read is taken to exist, as a step does.
func absentNamespaces(ctx context.Context, cluster *kubekit.Cluster, needs []Need) ([]string, error) {
	var names []string
	for _, n := range needs {
		if n.Namespace != "" {
			names = append(names, n.Namespace)
		}
	}
	slices.Sort(names)
	var absent []string
	for _, name := range slices.Compact(names) {
		_, err := cluster.Client().CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			absent = append(absent, name)
		case err != nil && !apierrors.IsForbidden(err):
			return nil, kubekit.Classify(err)
		}
	}
	return absent, nil
}

// ask returns the questions that the API server answers with no, in their order.
func ask(ctx context.Context, cluster *kubekit.Cluster, questions []question) ([]question, error) {
	allowed := make([]bool, len(questions))
	errs := make([]error, len(questions))
	slots := make(chan struct{}, parallel)
	var wg engine.Group
	for i, q := range questions {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			allowed[i], errs[i] = may(ctx, cluster, q)
		})
	}
	wg.Wait()
	var denied []question
	for i, q := range questions {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if !allowed[i] {
			denied = append(denied, q)
		}
	}
	return denied, nil
}

func may(ctx context.Context, cluster *kubekit.Cluster, q question) (bool, error) {
	var spec authorizationv1.SelfSubjectAccessReviewSpec
	if q.path != "" {
		spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: q.path, Verb: q.verb}
	} else {
		resource, sub, _ := strings.Cut(q.resource, "/")
		spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Verb: q.verb, Group: q.group, Resource: resource, Subresource: sub, Namespace: q.namespace, Name: q.name,
		}
	}
	answer, err := cluster.Client().AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
	if err != nil {
		return false, kubekit.Classify(err)
	}
	return answer.Status.Allowed, nil
}
