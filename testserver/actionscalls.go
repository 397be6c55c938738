package testserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// twirpError is an error of the service, as it answers it.
type twirpError struct {
	Code   string `json:"code"`
	Msg    string `json:"msg"`
	status int
	after  time.Duration
}

func refuse(status int, code, format string, args ...any) *twirpError {
	return &twirpError{Code: code, Msg: fmt.Sprintf(format, args...), status: status}
}

// actionsRequest is what all calls get. Each has some of the fields.
type actionsRequest struct {
	Key         string   `json:"key"`
	RestoreKeys []string `json:"restore_keys"`
	Version     string   `json:"version"`
	SizeBytes   string   `json:"size_bytes"`
}

var actionsVersion = regexp.MustCompile(`^[0-9a-f]{64}$`)

// check returns what is wrong with a request.
func (r actionsRequest) check() *twirpError {
	keys := append([]string{r.Key}, r.RestoreKeys...)
	if len(keys) > 10 {
		return refuse(http.StatusBadRequest, "invalid_argument", "%d keys, at most 10 are allowed", len(keys))
	}
	for _, k := range keys {
		if k == "" || utf8.RuneCountInString(k) > 512 || strings.Contains(k, ",") {
			return refuse(http.StatusBadRequest, "invalid_argument", "key %q is empty, has more than 512 characters or a comma", k)
		}
	}
	if !actionsVersion.MatchString(r.Version) {
		return refuse(http.StatusBadRequest, "invalid_argument", "version %q has not 64 hexadecimal digits", r.Version)
	}
	return nil
}

// serveCall answers a call of the service.
func (s *ActionsServer) serveCall(w http.ResponseWriter, r *http.Request) {
	s.seen(r)
	answer, refused := s.call(r)
	w.Header().Set("Content-Type", "application/json")
	if refused != nil {
		if refused.after > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(refused.after.Seconds())+1))
		}
		w.WriteHeader(refused.status)
		_ = json.NewEncoder(w).Encode(refused)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (s *ActionsServer) call(r *http.Request) (any, *twirpError) {
	scopes, err := parseActionsToken(r)
	if err != nil {
		return nil, refuse(http.StatusUnauthorized, "unauthenticated", "token: %v", err)
	}
	var request actionsRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, refuse(http.StatusBadRequest, "malformed", "%v", err)
	}
	if refused := request.check(); refused != nil {
		return nil, refused
	}
	switch method := r.PathValue("method"); method {
	case "CreateCacheEntry":
		return s.create(r.Host, scopes, request)
	case "FinalizeCacheEntryUpload":
		return s.finalize(r, scopes, request)
	case "GetCacheEntryDownloadURL":
		return s.find(r.Host, scopes, request)
	default:
		return nil, refuse(http.StatusNotFound, "bad_route", "no method %s", method)
	}
}

// writable returns the scope in which a token writes.
func writable(scopes []actionsScope) (string, *twirpError) {
	i := slices.IndexFunc(scopes, func(s actionsScope) bool { return s.Permission&actionsWrite != 0 })
	if i < 0 {
		return "", refuse(http.StatusForbidden, "permission_denied", "cache write denied: the token has no writable scopes")
	}
	return scopes[i].Scope, nil
}

func (s *ActionsServer) create(host string, scopes []actionsScope, r actionsRequest) (any, *twirpError) {
	scope, refused := writable(scopes)
	if refused != nil {
		return nil, refused
	}
	e, refused := s.reserve(scope, r)
	if refused != nil {
		return nil, refused
	}
	return map[string]any{"ok": true, "signed_upload_url": s.sign(host, e.blob, true)}, nil
}

func (s *ActionsServer) finalize(req *http.Request, scopes []actionsScope, r actionsRequest) (any, *twirpError) {
	scope, refused := writable(scopes)
	if refused != nil {
		return nil, refused
	}
	e := s.reserved(scope, r)
	if e == nil {
		return nil, refuse(http.StatusNotFound, "not_found", "no such reservation")
	}
	properties, err := s.bucket.NewBlobClient(e.blob).GetProperties(req.Context(), nil)
	if err != nil {
		return map[string]any{"ok": false}, nil
	}
	if size := *properties.ContentLength; strconv.FormatInt(size, 10) != r.SizeBytes {
		return nil, refuse(http.StatusBadRequest, "invalid_argument", "%d bytes were uploaded, not %s", size, r.SizeBytes)
	}
	id := s.publish(e, *properties.ContentLength)
	s.removeBlobs(req.Context())
	return map[string]any{"ok": true, "entry_id": strconv.Itoa(id)}, nil
}

func (s *ActionsServer) find(host string, scopes []actionsScope, r actionsRequest) (any, *twirpError) {
	if len(scopes) == 0 {
		return nil, refuse(http.StatusForbidden, "permission_denied", "cache read denied: the token has no readable scopes")
	}
	for _, scope := range scopes {
		for _, key := range append([]string{r.Key}, r.RestoreKeys...) {
			if e := s.newest(scope.Scope, key, r.Version); e != nil {
				return map[string]any{"ok": true, "signed_download_url": s.sign(host, e.blob, false), "matched_key": e.key}, nil
			}
		}
	}
	return map[string]any{"ok": false}, nil
}
