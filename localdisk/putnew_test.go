package localdisk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// PutNew stores an entry if the directory has none of its action, or a damaged one.
func TestPutNew(t *testing.T) {
	was, e := numberedEntry(1, []byte("was there")), numberedEntry(1, []byte("body"))
	for name, test := range map[string]struct {
		prepare func(d *Dir, body string) error
		want    bool
	}{
		"a whole entry":     {func(*Dir, string) error { return nil }, false},
		"no action file":    {func(d *Dir, _ string) error { return os.Remove(d.actionPath(e.Action)) }, true},
		"a cut action file": {func(d *Dir, _ string) error { return os.WriteFile(d.actionPath(e.Action), []byte("v1 "), 0o644) }, true},
		"no body":           {func(_ *Dir, body string) error { return os.Remove(body) }, true},
		"a cut body":        {func(_ *Dir, body string) error { return os.WriteFile(body, []byte("was"), 0o644) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			d := New(t.TempDir())
			mustDo(t, test.prepare(d, mustPut(t, d, was, []byte("was there"))))
			path, isNew, err := d.PutNew(e, strings.NewReader("body"))
			if err != nil || isNew != test.want {
				t.Fatalf("new: %v, %v; want %v", isNew, err, test.want)
			}
			if data, err := os.ReadFile(path); string(data) != "body" {
				t.Errorf("the body is %q, %v", data, err)
			}
			want := was
			if test.want {
				want = e
			}
			if got, _, err := d.Get(e.Action); err != nil || got.Output != want.Output {
				t.Errorf("the entry is %s, %v; want %s", got.Output, err, want.Output)
			}
			wantTemps(t, d, 0)
		})
	}
}

// A put that comes while PutNew clears a damaged entry away is not lost.
func TestPutWinsOverPutNew(t *testing.T) {
	d := New(t.TempDir())
	e, put := numberedEntry(1, []byte("body")), numberedEntry(1, []byte("of the build"))
	for range 300 {
		mustPut(t, d, e, []byte("body"))
		mustDo(t, os.WriteFile(d.actionPath(e.Action), nil, 0o644))
		var both sync.WaitGroup
		both.Go(func() {
			if _, _, err := d.PutNew(e, strings.NewReader("body")); err != nil && !errors.Is(err, fs.ErrExist) {
				t.Error(err)
			}
		})
		mustPut(t, d, put, []byte("of the build"))
		both.Wait()
		if got, _, err := d.Get(e.Action); err != nil || got.Output != put.Output {
			t.Fatalf("the entry is %s, %v; want that of the put", got.Output, err)
		}
	}
	wantTemps(t, d, 0)
}

// Without the system call of Linux, a file that exists stays, too.
func TestLinkNew(t *testing.T) {
	dir := t.TempDir()
	temp, path := filepath.Join(dir, "temp"), filepath.Join(dir, "path")
	for _, want := range []error{nil, fs.ErrExist} {
		mustDo(t, os.WriteFile(temp, nil, 0o644))
		if err := linkNew(temp, path); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}
