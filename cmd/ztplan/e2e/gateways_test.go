package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// gateways proves rotations behind the other kinds of objects that a gateway takes
// certificates from, a listener of a Gateway and an Ingress, and that the proof fails when
// the gateway keeps the old certificate, when it is late, and when the listener may not use
// the Secret any more.
func (w *world) gateways(t *testing.T) {
	w.clientsCA()
	w.sub(t, "gateway-api", w.gatewayAPI)
	w.sub(t, "gateway-clients", w.gatewayClients)
	w.sub(t, "ingress", w.behindIngress)
}

// behind runs a plan that has a certificate in namespace web rotate behind the objects. site
// is how often the host is asked before that, by default until it answers.
func (w *world) behind(name, objects, more string, site ...string) *outcome {
	w.t.Helper()
	w.writeProof(name+".yaml", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: behind-%[1]s}
steps:
  - id: certificate
    uses: applyManifest
    with:
      manifests:
        - {apiVersion: v1, kind: Namespace, metadata: {name: web}}
        - apiVersion: cert-manager.io/v1
          kind: Certificate
          metadata: {name: %[1]s, namespace: web}
          spec:
            secretName: %[1]s-tls
            duration: 24h
            renewBefore: 8h
            privateKey: {rotationPolicy: Always}
            issuerRef: {name: vault-issuer, kind: ClusterIssuer}
            dnsNames: [%[1]s.example.local]
        - apiVersion: apps/v1
          kind: Deployment
          metadata: {name: app, namespace: web}
          spec:
            selector: {matchLabels: {app: app}}
            template:
              metadata: {labels: {app: app}}
              spec: {containers: [{name: nginx, image: "nginx:1.29.3", ports: [{containerPort: 80}]}]}
        - {apiVersion: v1, kind: Service, metadata: {name: app, namespace: web}, spec: {selector: {app: app}, ports: [{port: 80}]}}
      wait: {conditions: [{kind: Certificate, name: %[1]s, namespace: web, type: Ready}]}
%[2]s
  - id: site
    uses: curlTLS
    needs: [served]
    %[4]s
    with:
      url: https://%[1]s.example.local
      service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}
      trustFrom: {secret: {namespace: ingress-apisix, name: clients-ca}}
      expect: {status: 200, certificate: {equalsSecret: {namespace: web, name: %[1]s-tls}}}
  - id: rotation
    uses: assertRotation
    needs: [site]
    timeout: 2m
    with:
      certificate: {namespace: web, name: %[1]s}
      url: https://%[1]s.example.local
      service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}
      trustFrom: {secret: {namespace: ingress-apisix, name: clients-ca}}
%[3]s
`, name, objects, more, strings.Join(site, "")))
	return w.do(nil, "run", "proof/"+name+".yaml")
}

const (
	soon = "      maxSwitch: 1s\n      maxLate: 2s"
	late = "      maxSwitch: 1s\n      maxLate: 20s"
	slow = "      maxSwitch: 20s\n      maxLate: 30s"
)

// keepsOld has a gateway keep the old certificate: the proof fails, and names the hop.
func (w *world) keepsOld(t *testing.T, name, objects string) {
	t.Helper()
	w.show("secret-update-never-pushed")
	o := w.behind(name, objects, soon)
	w.show("")
	w.takesOver(name+".example.local", "Secret/web/"+name+"-tls")
	must(t, "a gateway that keeps the old certificate", o, 1)
	expectViolation(t, o, `^the switch takes at most 1s$`, `the new certificate never reached the wire: stuck between the Secret and the gateway`)
	if hint := o.hint(); !strings.Contains(hint, "apache/apisix-ingress-controller#2673") || !strings.Contains(hint, "ResolvedRefs") {
		t.Errorf("hint %q", hint)
	}
}

// gatewayAPI has the Secret in another namespace than the Gateway.
func (w *world) gatewayAPI(t *testing.T) {
	const name = "tickets"
	objects := `  - id: served
    uses: applyManifest
    needs: [certificate]
    with:
      manifests:
        - {apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: apisix}, spec: {controllerName: apisix.apache.org/apisix-ingress-controller}}
        - apiVersion: gateway.networking.k8s.io/v1
          kind: ReferenceGrant
          metadata: {name: web, namespace: web}
          spec:
            from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: ingress-apisix}]
            to: [{group: "", kind: Secret, name: tickets-tls}]
        - apiVersion: gateway.networking.k8s.io/v1
          kind: Gateway
          metadata: {name: web, namespace: ingress-apisix}
          spec:
            gatewayClassName: apisix
            infrastructure: {parametersRef: {group: apisix.apache.org, kind: GatewayProxy, name: apisix-config}}
            listeners:
              - name: tickets
                port: 443
                protocol: HTTPS
                hostname: tickets.example.local
                tls: {certificateRefs: [{name: tickets-tls, namespace: web}]}
                allowedRoutes: {namespaces: {from: All}}
        - apiVersion: gateway.networking.k8s.io/v1
          kind: HTTPRoute
          metadata: {name: tickets, namespace: web}
          spec:
            parentRefs: [{name: web, namespace: ingress-apisix, sectionName: tickets}]
            rules: [{backendRefs: [{name: app, port: 80}]}]
      wait: {conditions: [{kind: Gateway, name: web, namespace: ingress-apisix, type: Programmed}]}`
	must(t, "a Gateway", w.behind(name, objects, ""), 0)
	w.keepsOld(t, name, objects)

	w.show("late-worker=3s")
	o := w.behind(name, objects, late)
	must(t, "a Gateway with a worker that is late", o, 1)
	expectViolation(t, o, `^the switch takes at most 1s$`, `the last server was late`)
	if full() {
		must(t, "a limit that allows for it", w.behind(name, objects, slow), 0)
	}
	w.show("")
	const secret = "Secret/web/" + name + "-tls"
	w.takesOver(name+".example.local", secret)

	// The grant is no object of the plan any more.
	at := strings.Index(objects, "        - apiVersion: gateway.networking.k8s.io/v1\n          kind: ReferenceGrant")
	end := strings.Index(objects, "        - apiVersion: gateway.networking.k8s.io/v1\n          kind: Gateway\n")
	w.remove("ReferenceGrant/web/web")
	serial := w.serialIn(secret)
	w.greets("the gateway does not use the Secret any more", name+".example.local", func(g greeting) bool { return g.serial != serial })
	o = w.behind(name, objects[:at]+objects[end:], soon, "retry: {attempts: 1}")
	must(t, "a listener that may not use the Secret", o, 1)
	expectViolation(t, o, `^certificate is the one in secret web/tickets-tls$`, `the gateway has not taken it over`)
	for _, path := range []string{"HTTPRoute/web/tickets", "Gateway/ingress-apisix/web", "GatewayClass/apisix", "Certificate/web/tickets"} {
		w.remove(path)
	}
}

// gatewayClients has a Gateway ask for client certificates: the proof fails before it does,
// and strangers are refused as soon as it does.
func (w *world) gatewayClients(t *testing.T) {
	run := func(frontend, client string, more ...string) *outcome {
		w.writeProof("members.yaml", fmt.Sprintf(`apiVersion: ztplan.dev/v1
kind: Plan
metadata: {name: members}
steps:
  - id: certificates
    uses: applyManifest
    with:
      manifests:
        - {apiVersion: v1, kind: Namespace, metadata: {name: members}}
        - apiVersion: cert-manager.io/v1
          kind: Certificate
          metadata: {name: members, namespace: members}
          spec: {secretName: members-tls, duration: 24h, renewBefore: 8h, issuerRef: {name: vault-issuer, kind: ClusterIssuer}, dnsNames: [members.example.local]}
        - apiVersion: cert-manager.io/v1
          kind: Certificate
          metadata: {name: client, namespace: members}
          spec:
            {secretName: client-tls, duration: 24h, renewBefore: 8h, usages: [digital signature, client auth],
             issuerRef: {name: vault-issuer, kind: ClusterIssuer}, dnsNames: [client.example.local]}
        - {apiVersion: apps/v1, kind: Deployment, metadata: {name: app, namespace: members}, spec: {selector: {matchLabels: {app: app}}, template: {
            metadata: {labels: {app: app}}, spec: {containers: [{name: nginx, image: "nginx:1.29.3", ports: [{containerPort: 80}]}]}}}}
        - {apiVersion: v1, kind: Service, metadata: {name: app, namespace: members}, spec: {selector: {app: app}, ports: [{port: 80}]}}
        - {apiVersion: v1, kind: ConfigMap, metadata: {name: clients, namespace: ingress-apisix}, data: {ca.crt: %q}}
      wait: {conditions: [{kind: Certificate, name: members, namespace: members, type: Ready}, {kind: Certificate, name: client, namespace: members, type: Ready}]}
  - id: grant
    uses: applyManifest
    needs: [certificates]
    with:
      manifests:
        - {apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: apisix}, spec: {controllerName: apisix.apache.org/apisix-ingress-controller}}
        - {apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: members, namespace: members}, spec: {
            from: [{group: gateway.networking.k8s.io, kind: Gateway, namespace: ingress-apisix}], to: [{group: "", kind: Secret, name: members-tls}]}}
        - apiVersion: gateway.networking.k8s.io/v1
          kind: Gateway
          metadata: {name: members, namespace: ingress-apisix}
          spec:
            gatewayClassName: apisix
            infrastructure: {parametersRef: {group: apisix.apache.org, kind: GatewayProxy, name: apisix-config}}
            %s
            listeners:
              - {name: members, port: 443, protocol: HTTPS, hostname: members.example.local, tls: {certificateRefs: [{name: members-tls, namespace: members}]}, allowedRoutes: {namespaces: {from: All}}}
        - {apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: members, namespace: members}, spec: {
            parentRefs: [{name: members, namespace: ingress-apisix}], rules: [{backendRefs: [{name: app, port: 80}]}]}}
  - id: site
    uses: curlTLS
    needs: [grant]
    with:
      url: https://members.example.local
      service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}
      trustFrom: {secret: {namespace: ingress-apisix, name: clients-ca}}
      expect: {status: 200}
      %s
  - id: strangers
    uses: assertDenied
    needs: [site]
    with:
      dial:
        url: https://members.example.local
        service: {namespace: ingress-apisix, name: apisix-gateway, port: 443}
        trustFrom: {secret: {namespace: ingress-apisix, name: clients-ca}}
        client: {secret: {namespace: members, name: client-tls}}
`, w.rootCertificate(), frontend, client))
		return w.do(nil, append([]string{"run", "proof/members.yaml"}, more...)...)
	}
	o := run(`tls: {frontend: {default: {}}}`, "")
	must(t, "a Gateway that does not ask", o, 1)
	expectViolation(t, o, `^no client certificate is refused$`, "the server does not even ask for a client certificate")
	const asks, client = `tls: {frontend: {default: {validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: clients}]}}}}`, "client: {secret: {namespace: members, name: client-tls}}"
	must(t, "a Gateway that is to ask", run(asks, client, "--skip", "strangers"), 0)
	w.greets("the Gateway asks for client certificates", "members.example.local", func(g greeting) bool { return g.asks })
	must(t, "a Gateway that asks", run(asks, client), 0)
	for _, path := range []string{"HTTPRoute/members/members", "Gateway/ingress-apisix/members", "GatewayClass/apisix", "ConfigMap/ingress-apisix/clients"} {
		w.remove(path)
	}
}

func (w *world) behindIngress(t *testing.T) {
	const name = "desk"
	objects := `  - id: served
    uses: applyManifest
    needs: [certificate]
    with:
      manifests:
        - apiVersion: networking.k8s.io/v1
          kind: Ingress
          metadata: {name: desk, namespace: web}
          spec:
            ingressClassName: apisix
            tls: [{hosts: [desk.example.local], secretName: desk-tls}]
            rules:
              - host: desk.example.local
                http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: app, port: {number: 80}}}}]}`
	must(t, "an Ingress", w.behind(name, objects, ""), 0)
	if full() {
		w.keepsOld(t, name, objects)
	}
	for _, path := range []string{"Ingress/web/desk", "Certificate/web/desk"} {
		w.remove(path)
	}
}
