package hosting

import (
	"slices"
	"strings"
)

// Unmade returns the Secrets, namespace/name, of the object's certificates that nothing among
// all makes, though Certificates among all make others in that namespace; and those. A
// namespace where a Secret is made whose name is not known has none, nor has an object for
// which cert-manager makes them (https://cert-manager.io/docs/usage/ingress/ and gateway/).
func (o Object) Unmade(all []Object) (secrets, made []string) {
	if o.annotated("cert-manager.io/issuer") || o.annotated("cert-manager.io/cluster-issuer") {
		return nil, nil
	}
	for _, c := range o.Certificates() {
		namespace, name, _ := strings.Cut(c.Secret, "/")
		if namespace == "" || name == "" || slices.Contains(secrets, c.Secret) {
			continue
		}
		have, known := madeIn(namespace, all)
		if known && len(have) > 0 && !slices.Contains(have, name) && !slices.ContainsFunc(all, func(s Object) bool { return s.Namespace == namespace && s.isSecret(name) }) {
			secrets, made = append(secrets, c.Secret), have
		}
	}
	return secrets, made
}

// madeIn returns the names of the Secrets that Certificates of a namespace make, and whether
// all of them are known.
func madeIn(namespace string, all []Object) (names []string, known bool) {
	for _, o := range all {
		if !o.isOf("Certificate", "cert-manager.io/") || o.Namespace != "" && o.Namespace != namespace {
			continue
		}
		name := o.Text("spec", "secretName")
		if name == "" || o.Namespace == "" {
			return nil, false
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

// isSecret reports whether the object is a Secret of that name, or of a kind that makes one,
// such as ExternalSecret and SealedSecret.
func (o Object) isSecret(name string) bool {
	return strings.HasSuffix(o.Kind, "Secret") && (o.Name == name || o.Text("spec", "target", "name") == name)
}

func (o Object) annotated(key string) bool { return o.Text("metadata", "annotations", key) != "" }
