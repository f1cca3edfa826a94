package dataplane

import (
	"cmp"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ztplan/ztplan/cmd/ztlab/component/gateway/adminapi"
)

// maxObject bounds the body of a request to the Admin API.
const maxObject = 4 << 20

// admin is the Admin API over a store.
type admin struct {
	store   *store
	keys    []Key
	onState func(adminapi.State) // called when the control plane has written its state
	log     *slog.Logger

	synced atomic.Bool // as in the control plane's last state
}

// newAdmin returns the Admin API's handler.
func newAdmin(a *admin) http.Handler {
	mux := http.NewServeMux()
	register(mux, a, resource[adminapi.SSL, *site]{
		kind:    adminapi.KindSSL,
		objects: a.store.ssls,
		compile: newSite,
		adopt: func(ssl *adminapi.SSL, id string, created, updated int64) {
			ssl.ID, ssl.CreateTime, ssl.UpdateTime = id, created, updated
		},
		created: func(ssl adminapi.SSL) int64 { return ssl.CreateTime },
		public: func(ssl adminapi.SSL) adminapi.SSL {
			ssl.Key = adminapi.Encrypted(ssl.Key)
			return ssl
		},
	})
	register(mux, a, resource[adminapi.Route, *route]{
		kind:    adminapi.KindRoute,
		objects: a.store.routes,
		compile: a.store.compile,
		adopt: func(r *adminapi.Route, id string, created, updated int64) {
			r.ID, r.CreateTime, r.UpdateTime = id, created, updated
		},
		created: func(r adminapi.Route) int64 { return r.CreateTime },
		public:  func(r adminapi.Route) adminapi.Route { return r },
	})
	mux.HandleFunc("PUT "+adminapi.StatePath, a.state)
	mux.HandleFunc("GET "+adminapi.StatePath, func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, adminapi.State{Bugs: a.store.bugs(), Synced: a.synced.Load()})
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, http.StatusNotFound, fmt.Sprintf("the stand-in's Admin API has no %s %s: it keeps ssls and routes", r.Method, r.URL.Path))
	})
	return a.authenticated(mux)
}

// authenticated lets requests with a key through, those of a viewer only to
// read. The answers to the others are APISIX's.
func (a *admin) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(adminapi.VersionHeader, adminapi.Version)
		given := cmp.Or(r.Header.Get(adminapi.KeyHeader), r.URL.Query().Get("api_key"))
		if given == "" {
			refuse(w, "missing apikey")
			return
		}
		for _, key := range a.keys {
			if subtle.ConstantTimeCompare([]byte(given), []byte(key.Value)) != 1 {
				continue
			}
			if key.ReadOnly && r.Method != http.MethodGet {
				refuse(w, "invalid method for role viewer")
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		refuse(w, "wrong apikey")
	})
}

// refuse answers 401.
func refuse(w http.ResponseWriter, why string) {
	reply(w, http.StatusUnauthorized, map[string]string{"error_msg": "failed to check token", "description": why})
}

// fail answers with an error.
func fail(w http.ResponseWriter, status int, message string) {
	reply(w, status, map[string]string{"error_msg": message})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

// state handles a write of the control plane's state.
func (a *admin) state(w http.ResponseWriter, r *http.Request) {
	var state adminapi.State
	if err := json.NewDecoder(io.LimitReader(r.Body, maxObject)).Decode(&state); err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if !state.Bugs.Equal(a.store.bugs()) {
		a.log.Warn("upstream bugs to show", "bugs", state.Bugs.String())
	}
	if err := a.store.show(state.Bugs); err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	a.synced.Store(state.Synced)
	a.onState(state)
	reply(w, http.StatusOK, state)
}

// A resource is one kind of object of the Admin API.
type resource[T, C any] struct {
	kind    string
	objects map[string]stored[T, C] // guarded by the store's lock
	compile func(T) (C, error)
	adopt   func(object *T, id string, created, updated int64)
	created func(T) int64
	public  func(T) T // as answers have it
}

// show returns an object as answers have it.
func (res resource[T, C]) show(item adminapi.Item[T]) adminapi.Item[T] {
	item.Value = res.public(item.Value)
	return item
}

// A handler answers the requests about one kind of object.
type handler[T, C any] struct {
	*admin
	resource[T, C]
}

// register adds a resource's requests to mux.
func register[T, C any](mux *http.ServeMux, a *admin, res resource[T, C]) {
	base, h := adminapi.Prefix+res.kind, handler[T, C]{a, res}
	mux.HandleFunc("GET "+base, h.list)
	mux.HandleFunc("GET "+base+"/{id}", h.get)
	mux.HandleFunc("PUT "+base+"/{id}", h.put)
	mux.HandleFunc("DELETE "+base+"/{id}", h.delete)
}

func (h handler[T, C]) list(w http.ResponseWriter, _ *http.Request) {
	h.store.mu.Lock()
	listed := adminapi.List[T]{List: []adminapi.Item[T]{}, Total: len(h.objects)}
	for _, id := range slices.Sorted(maps.Keys(h.objects)) {
		listed.List = append(listed.List, h.show(h.objects[id].Item))
	}
	h.store.mu.Unlock()
	reply(w, http.StatusOK, listed)
}

// find returns the object of the request, or answers that there is none.
func (h handler[T, C]) find(w http.ResponseWriter, r *http.Request) (found stored[T, C], ok bool) {
	h.store.mu.Lock()
	found, ok = h.objects[r.PathValue("id")]
	h.store.mu.Unlock()
	if !ok {
		reply(w, http.StatusNotFound, map[string]string{"message": "Key not found"})
	}
	return found, ok
}

func (h handler[T, C]) get(w http.ResponseWriter, r *http.Request) {
	if found, ok := h.find(w, r); ok {
		reply(w, http.StatusOK, h.show(found.Item))
	}
}

func (h handler[T, C]) put(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	var object T
	if err := json.NewDecoder(io.LimitReader(r.Body, maxObject)).Decode(&object); err != nil {
		fail(w, http.StatusBadRequest, "invalid request body: "+err.Error())
		return
	}
	now := time.Now().Unix()
	h.adopt(&object, id, now, now)
	compiled, err := h.compile(object)
	if err != nil {
		fail(w, http.StatusBadRequest, "invalid configuration: "+err.Error())
		return
	}
	status := http.StatusCreated
	var item adminapi.Item[T]
	err = h.store.change(key{h.kind, id}, compiled, func() func() {
		item = adminapi.Item[T]{Key: "/apisix/" + h.kind + "/" + id}
		before, existed := h.objects[id]
		if existed {
			status = http.StatusOK
			h.adopt(&object, id, h.created(before.Item.Value), now)
		}
		item.Value = object
		h.objects[id] = stored[T, C]{item, compiled}
		return func() {
			if existed {
				h.objects[id] = before
			} else {
				delete(h.objects, id)
			}
		}
	})
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, status, h.show(item))
}

func (h handler[T, C]) delete(w http.ResponseWriter, r *http.Request) {
	if _, ok := h.find(w, r); !ok {
		return
	}
	id := r.PathValue("id")
	err := h.store.change(key{h.kind, id}, nil, func() func() {
		before, existed := h.objects[id]
		delete(h.objects, id)
		return func() {
			if existed {
				h.objects[id] = before
			}
		}
	})
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	reply(w, http.StatusOK, map[string]string{"deleted": "1", "key": "/apisix/" + h.kind + "/" + id})
}
