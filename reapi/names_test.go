package reapi_test

import (
	"strings"
	"testing"

	"github.com/larderbuild/larder/reapi"
)

// TestResources reads names of resources, and writes them.
func TestResources(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0a", 32)
	for name, want := range map[string]reapi.Resource{
		"blobs/" + sum + "/3":                                {Digest: reapi.Digest{Hash: sum, SizeBytes: 3}},
		"a/b/blobs/" + sum + "/0":                            {Instance: "a/b", Digest: reapi.Digest{Hash: sum}},
		"compressed-blobs/zstd/" + sum + "/3":                {Zstd: true, Digest: reapi.Digest{Hash: sum, SizeBytes: 3}},
		"uploads/u/blobs/" + sum + "/3":                      {Upload: "u", Digest: reapi.Digest{Hash: sum, SizeBytes: 3}},
		"main/uploads/u/compressed-blobs/zstd/" + sum + "/3": {Instance: "main", Upload: "u", Zstd: true, Digest: reapi.Digest{Hash: sum, SizeBytes: 3}},
	} {
		got, err := reapi.ParseResource(name)
		if err != nil || got != want || got.String() != name {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if more, err := reapi.ParseResource(name + "/meta/data"); want.Upload != "" && (err != nil || more != want) || want.Upload == "" && err == nil {
			t.Errorf("%s with metadata: %+v, %v", name, more, err)
		}
		if slashed, err := reapi.ParseResource("/" + name); err != nil || slashed != want {
			t.Errorf("/%s: %+v, %v", name, slashed, err)
		}
	}
	for _, name := range []string{
		"", "/", "blobs", "x", "blobs/" + sum, "blobs/" + sum + "/", "blobs/" + sum + "/x", "blobs/" + sum + "/-1", "blobs/" + sum + "/+1",
		"blobs/" + sum + "/01", "blobs/" + sum + "/9223372036854775808", "blobs/" + sum[1:] + "/1", "blobs/" + strings.ToUpper(sum) + "/1",
		"blobs/blake3/" + sum + "/1", "//blobs/" + sum + "/1", "a//blobs/" + sum + "/1", "uploads/blobs/" + sum + "/1", "uploads//blobs/" + sum + "/1",
		"uploads/u/" + sum + "/1", "compressed-blobs/" + sum + "/1", "compressed-blobs/deflate/" + sum + "/1", "a/actions/blobs/" + sum + "/1",
	} {
		if got, err := reapi.ParseResource(name); err == nil {
			t.Errorf("%q: %+v", name, got)
		}
	}
}

// FuzzParseResource: a name that is read is written in the same way, but for metadata.
func FuzzParseResource(f *testing.F) {
	f.Add("main/uploads/u/compressed-blobs/zstd/" + strings.Repeat("0a", 32) + "/3/more")
	f.Fuzz(func(t *testing.T, name string) {
		r, err := reapi.ParseResource(name)
		if err != nil {
			return
		}
		if !strings.HasPrefix(name+"/", r.String()+"/") {
			t.Errorf("%q is %q", name, r)
		}
		if again, err := reapi.ParseResource(r.String()); err != nil || again != r {
			t.Errorf("%q is %+v, and then %+v, %v", name, r, again, err)
		}
	})
}
