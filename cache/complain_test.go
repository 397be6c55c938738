package cache

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/larderbuild/larder/backend"
)

func TestComplain(t *testing.T) {
	long := strings.Repeat("ä long reason ", 50)
	for _, test := range []struct {
		name string
		err  error
		want string // the line, or its beginning where that ends with …
		tail string
	}{
		{"s3://bucket/prefix", backend.Wrap(t.Context(), "put", "v1/main/a/5d/5d41", errors.New("503 SlowDown")),
			"could not upload: 503 SlowDown (s3://bucket/prefix). Builds go on without it; LARDER_LOG=info says more", ""},
		{"s3://bucket/prefix", backend.Wrap(t.Context(), "put", "v1/main/a/5d/5d41", fmt.Errorf("%w: 403 AccessDenied", backend.ErrDenied)),
			"could not upload: access denied: 403 AccessDenied (s3://bucket/prefix). Check its credentials; builds go on without it", ""},
		{"s3://bucket/prefix", errors.New(long), "could not upload: ä long reason ", "… (s3://bucket/prefix). Builds go on without it; LARDER_LOG=info says more"},
		{"s3://bucket/" + long, errors.New(long), "could not upload: ä long reason ", "…). Builds go on without it; LARDER_LOG=info says more"},
	} {
		r := &remote{name: test.name}
		got := r.line("upload", test.err)
		if test.tail == "" && got != test.want || !strings.HasPrefix(got, test.want) || !strings.HasSuffix(got, test.tail) {
			t.Errorf("%q\nwant %q %q", got, test.want, test.tail)
		}
		if len("larder: "+got) > 200 || !utf8.ValidString(got) {
			t.Errorf("%q has %d bytes", got, len(got))
		}
	}
}
