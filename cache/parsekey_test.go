package cache_test

import (
	"strings"
	"testing"

	"github.com/larderbuild/larder/cache"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("5d", 32)
	for key, want := range map[string]cache.Key{
		"v1/main/a/5d/" + id:                  {Kind: cache.EntryObject, Scope: "main", Name: "a/5d/" + id},
		"v1/pr-1/p/5d/" + id:                  {Kind: cache.Pack, Scope: "pr-1", Name: "p/5d/" + id, Pack: [32]byte([]byte(strings.Repeat("\x5d", 32)))},
		"v1/main/m/v5/ex.com%2Fm/linux":       {Kind: cache.Manifest, Scope: "main", Name: "m/v5/ex.com%2Fm/linux", Module: "m/v5/ex.com%2Fm/"},
		"v1/main/m/v3/ex.com/linux":           {Kind: cache.OldManifest, Scope: "main", Name: "m/v3/ex.com/linux", Module: "m/v3/ex.com/"},
		"v1/main/m/v5/ex.com/@profiles":       {Kind: cache.Note, Scope: "main", Name: "m/v5/ex.com/@profiles", Module: "m/v5/ex.com/"},
		"v1/main/m/v6/ex.com/linux":           {Kind: cache.UnknownManifest, Scope: "main", Name: "m/v6/ex.com/linux", Module: "m/v6/ex.com/"},
		"v1/main/m/v6/ex.com/@profiles":       {Kind: cache.UnknownManifest, Scope: "main", Name: "m/v6/ex.com/@profiles", Module: "m/v6/ex.com/"},
		"v1/main/m/v04/ex.com/linux":          {Kind: cache.UnknownManifest, Scope: "main", Name: "m/v04/ex.com/linux", Module: "m/v04/ex.com/"},
		"v1/main/m/v5/ex.com/deep/linux":      {Kind: cache.UnknownManifest, Scope: "main", Name: "m/v5/ex.com/deep/linux", Module: "m/v5/ex.com/deep/"},
		"v1/main/m/other":                     {Kind: cache.UnknownManifest, Scope: "main", Name: "m/other", Module: "m/"},
		"v1/main/a/5e/" + id:                  {},
		"v1/main/a/5D/" + strings.ToUpper(id): {},
		"v1/main/p/5d/" + id + "0":            {},
		"v1/main/p/5d/" + id + "/part":        {},
		"v1/main/x/5d/" + id:                  {},
		"v1/main/l/ex.com/linux":              {Kind: cache.Lease, Scope: "main", Name: "l/ex.com/linux"},
		"v1/main/l/ex.com":                    {},
		"v1/main/l/ex.com/deep/linux":         {},
		"v1/@gc":                              {},
		"v1/@gc/a/5d/" + id:                   {},
		"v1/.hidden/a/5d/" + id:               {},
		"v2/main/a/5d/" + id:                  {},
		"v1/main":                             {},
		"terraform.tfstate":                   {},
		"":                                    {},
	} {
		if got := cache.ParseKey(key); got != want {
			t.Errorf("%q is %+v, want %+v", key, got, want)
		}
	}
}
