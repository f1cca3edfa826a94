package ui

import (
	"encoding/json"
	"io"

	"github.com/ztplan/ztplan/engine"
	"github.com/ztplan/ztplan/engine/display"
)

// JSON writes every event as one line of JSON.
type JSON struct{ enc *json.Encoder }

// NewJSON returns a JSON that writes to w.
func NewJSON(w io.Writer) *JSON {
	enc := json.NewEncoder(display.JSONWriter{W: w})
	enc.SetEscapeHTML(false)
	return &JSON{enc}
}

// Event writes e.
func (j *JSON) Event(e engine.Event) { _ = j.enc.Encode(e) }
