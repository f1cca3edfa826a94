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

// register adds a resource's requests to mux.
func register[T, C any](mux *http.ServeMux, a *admin, res resource[T, C]) {
	base := adminapi.Prefix + res.kind
	show := func(item adminapi.Item[T]) adminapi.Item[T] {
		item.Value = res.public(item.Value)
		return item
	}
	mux.HandleFunc("GET "+base, func(w http.ResponseWriter, _ *http.Request) {
		a.store.mu.Lock()
		listed := adminapi.List[T]{List: []adminapi.Item[T]{}, Total: len(res.objects)}
		for _, id := range slices.Sorted(maps.Keys(res.objects)) {
			listed.List = append(listed.List, show(res.objects[id].Item))
		}
		a.store.mu.Unlock()
		reply(w, http.StatusOK, listed)
	})
	mux.HandleFunc("GET "+base+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		a.store.mu.Lock()
		found, ok := res.objects[r.PathValue("id")]
		a.store.mu.Unlock()
		if !ok {
			reply(w, http.StatusNotFound, map[string]string{"message": "Key not found"})
			return
		}
		reply(w, http.StatusOK, show(found.Item))
	})
	mux.HandleFunc("PUT "+base+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		var object T
		if err := json.NewDecoder(io.LimitReader(r.Body, maxObject)).Decode(&object); err != nil {
			fail(w, http.StatusBadRequest, "invalid request body: "+err.Error())
			return
		}
		now := time.Now().Unix()
		res.adopt(&object, id, now, now)
		compiled, err := res.compile(object)
		if err != nil {
			fail(w, http.StatusBadRequest, "invalid configuration: "+err.Error())
			return
		}
		status := http.StatusCreated
		var item adminapi.Item[T]
		err = a.store.change(key{res.kind, id}, compiled, func() func() {
			item = adminapi.Item[T]{Key: "/apisix/" + res.kind + "/" + id}
			before, existed := res.objects[id]
			if existed {
				status = http.StatusOK
				res.adopt(&object, id, res.created(before.Item.Value), now)
			}
			item.Value = object
			res.objects[id] = stored[T, C]{item, compiled}
			return func() {
				if existed {
					res.objects[id] = before
				} else {
					delete(res.objects, id)
				}
			}
		})
		if err != nil {
			fail(w, http.StatusInternalServerError, err.Error())
			return
		}
		reply(w, status, show(item))
	})
	mux.HandleFunc("DELETE "+base+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		a.store.mu.Lock()
		_, ok := res.objects[id]
		a.store.mu.Unlock()
		if !ok {
			reply(w, http.StatusNotFound, map[string]string{"message": "Key not found"})
			return
		}
		err := a.store.change(key{res.kind, id}, nil, func() func() {
			before, existed := res.objects[id]
			delete(res.objects, id)
			return func() {
				if existed {
					res.objects[id] = before
				}
			}
		})
		if err != nil {
			fail(w, http.StatusInternalServerError, err.Error())
			return
		}
		reply(w, http.StatusOK, map[string]string{"deleted": "1", "key": "/apisix/" + res.kind + "/" + id})
	})
}
