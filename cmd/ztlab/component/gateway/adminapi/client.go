package adminapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// timeout bounds one request, as the controller's exec_adc_timeout does.
const timeout = 15 * time.Second

// maxAnswer bounds the bytes that are read of an answer.
const maxAnswer = 64 << 20

// An Endpoint is one Admin API and the key that opens it. Its methods may be
// used by several goroutines.
type Endpoint struct {
	Base string // URL without a path, for example http://10.244.0.7:9180
	Key  string
	HTTP *http.Client
}

// A Refusal is an answer other than success.
type Refusal struct {
	Status int
	Text   string // the API's message
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("Admin API answered %d %s: %s", r.Status, http.StatusText(r.Status), r.Text)
}

// SSLs lists the certificates, with keys as [Encrypted] has them.
func (e Endpoint) SSLs(ctx context.Context) ([]SSL, error) { return values[SSL](ctx, e, KindSSL) }

// Routes lists the routes.
func (e Endpoint) Routes(ctx context.Context) ([]Route, error) {
	return values[Route](ctx, e, KindRoute)
}

func values[T any](ctx context.Context, e Endpoint, kind string) ([]T, error) {
	var listed List[T]
	if err := e.do(ctx, http.MethodGet, Prefix+kind, nil, &listed); err != nil {
		return nil, err
	}
	found := make([]T, 0, len(listed.List))
	for _, item := range listed.List {
		found = append(found, item.Value)
	}
	return found, nil
}

// Put writes an object.
func (e Endpoint) Put(ctx context.Context, kind, id string, object any) error {
	return e.do(ctx, http.MethodPut, Prefix+kind+"/"+id, object, nil)
}

// Delete removes an object.
func (e Endpoint) Delete(ctx context.Context, kind, id string) error {
	return e.do(ctx, http.MethodDelete, Prefix+kind+"/"+id, nil, nil)
}

// PutState writes the control plane's state. An Admin API that is not the
// stand-in's refuses it with 404.
func (e Endpoint) PutState(ctx context.Context, state State) error {
	return e.do(ctx, http.MethodPut, StatePath, state, nil)
}

// State reads the state that was written last.
func (e Endpoint) State(ctx context.Context) (State, error) {
	var state State
	err := e.do(ctx, http.MethodGet, StatePath, nil, &state)
	return state, err
}

func (e Endpoint) do(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(e.Base, "/")+path, body)
	if err != nil {
		return err
	}
	request.Header.Set(KeyHeader, e.Key)
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := e.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if response.StatusCode/100 != 2 {
		return &Refusal{Status: response.StatusCode, Text: reason(text)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// reason picks the message out of an error body.
func reason(text []byte) string {
	var said struct {
		ErrorMsg    string `json:"error_msg"`
		Message     string `json:"message"`
		Description string `json:"description"`
	}
	if json.Unmarshal(text, &said) != nil {
		return strings.TrimSpace(string(text[:min(len(text), 200)]))
	}
	message := said.ErrorMsg
	if message == "" {
		message = said.Message
	}
	if said.Description != "" {
		message += " (" + said.Description + ")"
	}
	return message
}
