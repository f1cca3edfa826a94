package kubetypes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	openapierrors "k8s.io/kube-openapi/pkg/validation/errors"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"

	"github.com/ztplan/ztplan/steps/internal/nearest"
)

// CheckCustom checks an object against the schema of its CustomResourceDefinition as
// the API server will when that is served: fields that are unknown, of another type,
// missing, or against the schema's limits. It leaves out the checks that need the server:
// rules in CEL (x-kubernetes-validations) and webhooks. from names the origin of the
// definition in problems.
//
// An error means that the CustomResourceDefinition itself cannot be used.
func CheckCustom(definition *unstructured.Unstructured, from string, obj *unstructured.Unstructured) ([]FieldProblem, error) {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(definition.Object, &crd); err != nil {
		return nil, err
	}
	version := obj.GroupVersionKind().Version
	var served []string
	for _, v := range crd.Spec.Versions {
		if !v.Served {
			continue
		}
		if v.Name == version {
			return check(obj, v.Schema)
		}
		served = append(served, crd.Spec.Group+"/"+v.Name)
	}
	return []FieldProblem{{
		Field:   "apiVersion",
		Message: fmt.Sprintf("%s has kind %s in %s, not in %s", from, obj.GetKind(), strings.Join(served, ", "), obj.GetAPIVersion()),
	}}, nil
}

func check(obj *unstructured.Unstructured, v *apiextensionsv1.CustomResourceValidation) ([]FieldProblem, error) {
	if v == nil || v.OpenAPIV3Schema == nil {
		return nil, errors.New("it has no schema")
	}
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.OpenAPIV3Schema, &props, nil); err != nil {
		return nil, err
	}
	s, err := structural.NewStructural(&props)
	if err != nil {
		return nil, err
	}
	content := obj.DeepCopy().Object
	var problems []FieldProblem
	for _, path := range pruning.PruneWithOptions(content, s, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		problems = append(problems, FieldProblem{Field: path, Message: "unknown field", Unknown: true, Near: near(s, path)})
	}
	setDefaults(content, s)
	result := validate.NewSchemaValidator(s.ToKubeOpenAPI(), nil, "", strfmt.Default).Validate(content)
	for _, err := range result.Errors {
		problems = append(problems, problemOf(err))
	}
	slices.SortStableFunc(problems, func(a, b FieldProblem) int { return strings.Compare(a.Field, b.Field) })
	return slices.Compact(problems), nil
}

// near returns the name in the schema that is like the last one of path.
func near(s *structural.Structural, path string) string {
	parts := strings.FieldsFunc(path, func(c rune) bool { return c == '.' || c == '[' })
	for _, part := range parts[:len(parts)-1] {
		next, ok := s.Properties[part]
		switch {
		case ok:
			s = &next
		case strings.HasSuffix(part, "]") && s.Items != nil:
			s = s.Items
		case s.AdditionalProperties != nil && s.AdditionalProperties.Structural != nil:
			s = s.AdditionalProperties.Structural
		default:
			return ""
		}
	}
	return nearest.Name(parts[len(parts)-1], slices.Sorted(maps.Keys(s.Properties)))
}

func problemOf(err error) FieldProblem {
	var v *openapierrors.Validation
	if !errors.As(err, &v) {
		return FieldProblem{Message: err.Error()}
	}
	field := strings.TrimPrefix(v.Name, ".")
	message := strings.TrimPrefix(err.Error(), v.Name+" in body ")
	if v.Code() == openapierrors.RequiredFailCode {
		message = "is required"
	}
	return FieldProblem{Field: field, Message: message}
}

// setDefaults fills in the defaults of the schema: a required field with
// a default may be left out.
func setDefaults(v any, s *structural.Structural) {
	switch v := v.(type) {
	case map[string]any:
		for name, p := range s.Properties {
			if _, ok := v[name]; !ok && p.Default.Object != nil {
				v[name] = runtime.DeepCopyJSONValue(p.Default.Object)
			}
			setDefaults(v[name], &p)
		}
		if s.AdditionalProperties == nil || s.AdditionalProperties.Structural == nil {
			return
		}
		for name, e := range v {
			if _, named := s.Properties[name]; !named {
				setDefaults(e, s.AdditionalProperties.Structural)
			}
		}
	case []any:
		for _, e := range v {
			if s.Items != nil {
				setDefaults(e, s.Items)
			}
		}
	}
}
