package modindex_test

import (
	"testing"

	"github.com/larderbuild/larder/modindex"
)

func TestKindOf(t *testing.T) {
	const begin = "go index v2\n\x20\x00\x00\x00"
	for name, test := range map[string]struct {
		body string
		want modindex.Kind
	}{
		"empty":                {"", modindex.None},
		"an archive":           {"!<arch>\n", modindex.None},
		"nearly an index":      {"go index", modindex.None},
		"of no package":        {begin + "\x00\x00\x00\x00", modindex.OfPackage},
		"of a package":         {begin + "\x01\x00\x00\x00", modindex.OfPackage},
		"of two packages":      {begin + "\x02\x00\x00\x00", modindex.OfModule},
		"of 256 packages":      {begin + "\x00\x01\x00\x00", modindex.OfModule},
		"cut":                  {begin + "\x02\x00\x00", modindex.OfPackage},
		"of an older version":  {"go index v1\n\x20\x00\x00\x00\x02\x00\x00\x00", modindex.OfPackage},
		"of a version to come": {"go index v22\n\x20\x00\x00\x00\x02\x00\x00\x00", modindex.OfPackage},
	} {
		t.Run(name, func(t *testing.T) {
			if got := modindex.KindOf([]byte(test.body)); got != test.want {
				t.Errorf("kind %d, want %d", got, test.want)
			}
		})
	}
}
