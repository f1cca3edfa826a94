// Package gateway runs the lab's stand-ins for Apache APISIX and its ingress
// controller, which exist neither as Go modules nor without a container engine.
// They are split as upstream's are: package dataplane is the gateway, package
// controller writes to it, package adminapi is the protocol between them.
//
// They are two processes in two pods, because tests end and start one without the
// other: TestControllerRestart, TestReadyAfterFirstSync, TestReadyWithoutControlPlane,
// and ztplan's tests of a gateway that restarts. So there is a protocol, and it is
// APISIX's Admin API instead of one of the lab's own, because tests use its realism:
// TestWrongAdminKey and TestAdminKeyFromSecret (the status of a refused key is that of
// the real controller, from which ztplan derives a hint), TestRotationIsOneUpdate,
// TestKeyIsCompared (against the encrypted key), TestOnlySourceOfTruth (objects that
// were written by hand), and ztplan's drift of the Service apisix-admin. ztplan's
// proofs read [adminapi.StatePath] to know which bug is in effect.
//
// Known upstream bugs can be switched on at run time, to see that a proof of
// rotation fails when it should: see [adminapi.BugsAnnotation]. An ingress
// controller of a version that has the bug shows it unasked.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"k8s.io/client-go/rest"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/connect"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/controller"
	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/dataplane"
	"github.com/ztplan/ztplan/cmd/ztlab/container"
)

// Where the images of upstream have their configuration.
const (
	apisixConfig     = "/usr/local/apisix/conf/config.yaml"
	controllerConfig = "/app/conf/config.yaml"
)

// APISIX runs the data plane where a container of the image apache/apisix
// would: it serves the container ports that its config.yaml names, by default
// 9080 (HTTP), 9443 (TLS, when it is on) and 9180 (Admin API).
func APISIX(ctx context.Context, spec container.Spec, report func(container.Report)) error {
	text, err := mounted(spec, apisixConfig)
	if err != nil {
		return err
	}
	config, err := dataplane.ParseConfig(text, spec.Env)
	if err != nil {
		return err
	}
	dialer, err := connect.NewDialer(spec.Proxy)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(spec.Dir, 0o700); err != nil {
		return err
	}
	return dataplane.Run(ctx, dataplane.Options{
		Config:    config,
		Dir:       spec.Dir,
		Server:    server(spec.Image),
		Dial:      dialer.DialContext,
		Log:       logger(),
		Listening: func(addresses map[int]string) { report(container.Report{Listen: addresses}) },
		Ready: func() {
			ready := true
			report(container.Report{Ready: &ready})
		},
	})
}

// IngressController runs the control plane where a container of the image
// apache/apisix-ingress-controller would, with the pod's own ServiceAccount.
func IngressController(ctx context.Context, spec container.Spec, report func(container.Report)) error {
	text, err := mounted(spec, controllerConfig)
	if err != nil {
		return err
	}
	config, err := controller.ParseConfig(text)
	if err != nil {
		return err
	}
	if config.WebhookPort != 0 {
		dir, err := mountedPath(spec, config.WebhookDir)
		if err != nil {
			return err
		}
		config.WebhookDir = dir
	}
	dialer, err := connect.NewDialer(spec.Proxy)
	if err != nil {
		return err
	}
	var bugs adminapi.Bugs
	if neverPushes.MatchString(tag(spec.Image)) {
		bugs = bugs.With(adminapi.SecretNeverPushed)
	}
	return controller.Run(ctx, controller.Options{
		Config: config,
		Kubernetes: &rest.Config{
			Host:            spec.APIServer,
			BearerTokenFile: spec.TokenFile,
			TLSClientConfig: rest.TLSClientConfig{CAFile: spec.CAFile},
			UserAgent:       "apisix-ingress-controller-stand-in (ztlab)",
			QPS:             100,
			Burst:           200,
			// The API server is on loopback; HTTPS_PROXY does not count.
			Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
		},
		Dial:      dialer.DialContext,
		Bugs:      bugs,
		Log:       logger(),
		Listening: func(addresses map[int]string) { report(container.Report{Listen: addresses}) },
		Ready: func(ready bool, why string) {
			report(container.Report{Ready: &ready, Message: why})
		},
	})
}

// neverPushes are the controller versions with
// apache/apisix-ingress-controller#2673.
var neverPushes = regexp.MustCompile(`^v?2\.0\.0-rc[1-5]$`)

// mountedPath finds where a path of the container is on this machine.
func mountedPath(spec container.Spec, path string) (string, error) {
	for mount, host := range spec.Mounts {
		if mount == path {
			return host, nil
		}
		if rest, ok := strings.CutPrefix(path, strings.TrimSuffix(mount, "/")+"/"); ok {
			return filepath.Join(host, filepath.FromSlash(rest)), nil
		}
	}
	return "", fmt.Errorf("%s: container %s has nothing mounted there: the chart's ConfigMap belongs there", path, spec.Name)
}

// mounted reads a file of the container.
func mounted(spec container.Spec, path string) ([]byte, error) {
	host, err := mountedPath(spec, path)
	if err != nil {
		return nil, err
	}
	// A mount of one file may be given as the directory that holds it.
	if info, err := os.Stat(host); err == nil && info.IsDir() {
		host = filepath.Join(host, filepath.Base(path))
	}
	text, err := os.ReadFile(host)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return text, nil
}

// server is the Server header: it names a stand-in, and the version whose
// place it takes.
func server(image string) string {
	version, _, _ := strings.Cut(tag(image), "-") // 3.16.0-ubuntu
	if version == "" {
		return "APISIX-stand-in (ztlab)"
	}
	return "APISIX-stand-in/" + version + " (ztlab)"
}

// tag is the tag of an image reference, "" when it has none.
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	name := image[strings.LastIndex(image, "/")+1:]
	_, tag, _ := strings.Cut(name, ":")
	return tag
}

// logger writes to standard error, where the node agent keeps a component's
// log.
func logger() *slog.Logger { return slog.New(slog.NewTextHandler(os.Stderr, nil)) }
