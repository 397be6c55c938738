package gha

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/larderbuild/larder/backend"
)

// entriesVersion is the version that all entries of larder have. The service compares it,
// and has no other use for it: 64 hexadecimal digits, the SHA-256 of "larder, format 1".
const entriesVersion = "d47bf5d71c87f01b4abeb5105f757740df0ba2c76b955bd71b01f915ee860b56"

// service is the three calls of the cache service.
type service struct {
	client *http.Client
	root   *url.URL
	token  string
}

// answer is what the calls return. Each has some of the fields.
type answer struct {
	OK          bool   `json:"ok"`
	Message     string `json:"message"`
	UploadURL   string `json:"signed_upload_url"`
	DownloadURL string `json:"signed_download_url"`
	MatchedKey  string `json:"matched_key"`
}

// create reserves label for an entry, and returns the signed URL to which its bytes go.
func (s *service) create(ctx context.Context, label string) (*url.URL, error) {
	a, err := s.call(ctx, "CreateCacheEntry", map[string]any{"key": label, "version": entriesVersion})
	if err != nil {
		return nil, err
	}
	return s.signed(a.UploadURL)
}

// finalize makes an entry visible whose bytes, size of them, were uploaded.
func (s *service) finalize(ctx context.Context, label string, size int64) error {
	_, err := s.call(ctx, "FinalizeCacheEntryUpload", map[string]any{
		"key": label, "version": entriesVersion, "size_bytes": strconv.FormatInt(size, 10),
	})
	return err
}

// find returns the newest entry whose label begins with query. The error wraps
// backend.ErrNotFound if there is none.
func (s *service) find(ctx context.Context, query string) (location, error) {
	a, err := s.call(ctx, "GetCacheEntryDownloadURL", map[string]any{
		"key": query, "restore_keys": []string{query}, "version": entriesVersion,
	})
	switch {
	case errors.Is(err, errNotOK):
		return location{}, backend.ErrNotFound
	case err != nil:
		return location{}, err
	case !strings.HasPrefix(a.MatchedKey, query):
		return location{}, fmt.Errorf("the cache service has answered with another key than it was asked for: %q", a.MatchedKey)
	}
	found, err := s.signed(a.DownloadURL)
	return location{a.MatchedKey, found}, err
}

// errNotOK is what the service answers where there is no entry, or where it has not done
// what it was asked for.
var errNotOK = errors.New("the cache service says no")

// call calls a method of the service.
func (s *service) call(ctx context.Context, method string, request map[string]any) (a answer, err error) {
	body, err := json.Marshal(request)
	if err != nil {
		return a, err
	}
	target := s.root.ResolveReference(&url.URL{Path: "/twirp/github.actions.results.api.v1.CacheService/" + method})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.token)
	res, err := s.client.Do(req)
	if err != nil {
		return a, hideURL(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return a, newRefusal(res)
	}
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
		return a, fmt.Errorf("not an answer of the cache service: %w", err)
	}
	if !a.OK && a.Message != "" {
		return a, &refusal{status: res.StatusCode, message: clean(a.Message)}
	}
	if !a.OK {
		return a, errNotOK
	}
	return a, nil
}

// signed returns a URL that the service has signed. No error repeats any of it.
func (s *service) signed(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != s.root.Scheme {
		return nil, errors.New("the cache service has answered without a URL that is any good")
	}
	return u, nil
}
