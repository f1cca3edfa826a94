package kubekit

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/steps/hints"
	"github.com/ztplan/ztplan/steps/internal/kubekit/refusal"
	"github.com/ztplan/ztplan/steps/internal/kubetypes"
)

// Classify marks err as permanent if another try cannot cure it, and attaches
// a hint where one is known. Answers of the API server from 400 to 499 are
// permanent except 408 (timeout), 409 (conflict), 410 (expired), 429 (busy) and those of
// a server that is not ready ([refusal.Unready]), and so is a 500 about an object that
// does not fit its kind; everything else is worth another try. nil stays nil, and an
// error that is permanent or has a hint keeps them.
//
// A 404 is permanent too: a step that looks for an object asks
// apierrors.IsNotFound first, because there absence is an answer.
func Classify(err error) error {
	if err == nil {
		return nil
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		if (passing(context.Background(), err) || errors.Is(err, syscall.ECONNREFUSED)) && engine.HintOf(err) == "" {
			return engine.WithHint(err, "the connection to the API server broke: does it run, and does anything in between restart? kubectl version shows the same")
		}
		return err
	}
	st := status.Status()
	if kubetypes.Mistyped(int(st.Code), st.Message) {
		return hintedOnce(engine.Permanent(err), hints.Or(st.Message, "correct the object: the API server cannot read it as its kind, and will not another time"))
	}
	hint := hints.Or(st.Message, hintFor(err, st.Message))
	if _, denied := DenialOf(err); denied {
		hint = DeniedHint // known messages are those of components, and this one is about the user
	}
	if hint != "" {
		err = hintedOnce(err, hint)
	}
	if final(st) {
		err = engine.Permanent(err)
	}
	return err
}

func hintedOnce(err error, hint string) error {
	if engine.HintOf(err) != "" {
		return err
	}
	return engine.WithHint(err, hint)
}

// final reports whether another try gets the same answer.
func final(st metav1.Status) bool {
	switch st.Code {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusGone, http.StatusTooManyRequests:
		return false
	}
	return st.Code >= 400 && st.Code < 500 && !refusal.Unready(st.Message)
}

func hintFor(err error, message string) string {
	switch {
	case refusal.Unready(message):
		return "the API server has just started, or the namespace was just made: kubectl get --raw '/readyz?verbose' shows what the server waits for"
	case apierrors.IsUnauthorized(err):
		return "the API server refuses the credentials: log in again, or choose another --context"
	case apierrors.IsForbidden(err) && strings.Contains(message, "cannot "):
		return DeniedHint
	case apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err), apierrors.IsInternalError(err):
		return "the API server, or something in front of it, is overloaded or restarting: kubectl get --raw '/readyz?verbose' says what it waits for"
	}
	return ""
}

// IsNoKind reports whether the cause of err is a kind that the API server does not serve:
// its CustomResourceDefinition is missing or not Established yet.
func IsNoKind(err error) bool { return meta.IsNoMatchError(err) }

// Unchangeable reports whether the API server refuses, with this message, a change
// because the field keeps its value for as long as the object lives. There is no
// reason code for it; the messages are those of the validation of Kubernetes
// (pkg/apis/*/validation) and of rules in CustomResourceDefinitions.
func Unchangeable(message string) bool { return unchangeable.MatchString(message) }

var unchangeable = regexp.MustCompile(`immutable|may not change once set|cannot change roleRef|may not change fields other than|are forbidden`)
