package kubefields

// DropNulls removes the fields of an object that are null. Charts and manifests write
// "annotations:" and mean nothing by it; server-side apply and patches would remove
// the annotations.
func DropNulls(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, e := range v {
			if e == nil {
				delete(v, key)
			}
			DropNulls(e)
		}
	case []any:
		for _, e := range v {
			DropNulls(e)
		}
	}
}
