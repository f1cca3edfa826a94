package kubekit

// DropNulls removes the fields of an object that are null: "annotations:" with
// nothing behind it is no wish, and server-side apply and patches would take it
// for one to have no annotations.
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
