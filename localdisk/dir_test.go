package localdisk

import (
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/larderbuild/larder/protocol"
)

func TestPutThenGet(t *testing.T) {
	d := New(filepath.Join(t.TempDir(), "a", "b"))
	for i, body := range []string{"", "x", "a body", strings.Repeat("long ", 100_000), ""} {
		want := numberedEntry(i, []byte(body))
		// A reader of single bytes, as a decoder may be.
		put, err := d.Put(want, iotest.OneByteReader(strings.NewReader(body)))
		if err != nil {
			t.Fatal(err)
		}
		got, path, err := d.Get(want.Action)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Time.Equal(want.Time) {
			t.Errorf("time %v, want %v", got.Time, want.Time)
		}
		got.Time = want.Time
		if got != want || path != put || !filepath.IsAbs(path) {
			t.Errorf("got %+v at %s, want %+v at %s", got, path, want, put)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != body {
			t.Errorf("%s holds %d bytes (%v), want %d", path, len(data), err, len(body))
		}
	}
	wantTemps(t, d, 0)
}

func TestNewTouchesNothing(t *testing.T) {
	root := filepath.Join(t.TempDir(), "missing")
	d := New(root)
	if _, _, err := d.Get(numberedEntry(1, nil).Action); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get: %v", err)
	}
	for _, call := range everyUpkeep(d) {
		if err := call(); err != nil {
			t.Errorf("on a missing directory: %v", err)
		}
	}
	if _, err := os.Stat(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory exists: %v", err)
	}
}

func TestLastWriterWins(t *testing.T) {
	d := New(t.TempDir())
	first := numberedEntry(1, []byte("first"))
	mustPut(t, d, first, []byte("first"))
	second := numberedEntry(1, []byte("second body"))
	path := mustPut(t, d, second, []byte("second body"))
	got, gotPath, err := d.Get(first.Action)
	if err != nil || got.Output != second.Output || gotPath != path {
		t.Errorf("got %v at %s (%v), want %v at %s", got.Output, gotPath, err, second.Output, path)
	}
}

func TestDamageIsAMissAndRepaired(t *testing.T) {
	e := numberedEntry(1, []byte("body"))
	other := string(appendAction(nil, numberedEntry(99, []byte("body"))))
	write := func(path, data string) error { return os.WriteFile(path, []byte(data), 0o644) }
	tests := []struct {
		name   string
		damage func(action, body string) error
		absent bool // whether the reason is fs.ErrNotExist
	}{
		{"no action file", func(action, _ string) error { return os.Remove(action) }, true},
		{"empty action file", func(action, _ string) error { return write(action, "") }, false},
		{"cut action file", func(action, _ string) error { return write(action, other[:50]) }, false},
		{"foreign action file", func(action, _ string) error { return write(action, "not ours\n") }, false},
		{"another action's file", func(action, _ string) error { return write(action, other) }, false},
		{"no body", func(_, body string) error { return os.Remove(body) }, true},
		{"empty body", func(_, body string) error { return write(body, "") }, false},
		{"cut body", func(_, body string) error { return write(body, "bod") }, false},
		{"long body", func(_, body string) error { return write(body, "body2") }, false},
		// As go clean -cache does.
		{"no folder of the body", func(_, body string) error { return os.RemoveAll(filepath.Dir(body)) }, true},
		{"no folder of the action", func(action, _ string) error { return os.RemoveAll(filepath.Dir(action)) }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := New(t.TempDir())
			path := mustPut(t, d, e, []byte("body"))
			mustDo(t, test.damage(d.actionPath(e.Action), path))

			_, _, err := d.Get(e.Action)
			if !errors.Is(err, ErrNotFound) || errors.Is(err, fs.ErrNotExist) != test.absent {
				t.Errorf("Get: %v; want ErrNotFound, as fs.ErrNotExist: %v", err, test.absent)
			}
			mustPut(t, d, e, []byte("body"))
			if _, _, err := d.Get(e.Action); err != nil {
				t.Errorf("after the repair: %v", err)
			}
			if data, _ := os.ReadFile(path); string(data) != "body" {
				t.Errorf("the body is %q", data)
			}
		})
	}
}

// TestSameSizeDamageIsRepaired damages a body without changing its size. Get does not
// notice, since it reads no bodies. The next Put writes the body again.
func TestSameSizeDamageIsRepaired(t *testing.T) {
	d := New(t.TempDir())
	e := numberedEntry(1, []byte("body"))
	path := mustPut(t, d, e, []byte("body"))
	mustDo(t, os.WriteFile(path, []byte("ydob"), 0o644))
	mustPut(t, d, e, []byte("body"))
	if data, _ := os.ReadFile(path); string(data) != "body" {
		t.Errorf("the body is %q", data)
	}
}

func TestExecutableOfGoIsAMiss(t *testing.T) {
	d := New(t.TempDir())
	e := numberedEntry(1, []byte("body"))
	path := mustPut(t, d, e, []byte("body"))
	mustDo(t, os.Remove(path))
	mustDo(t, os.Mkdir(path, 0o755))
	mustDo(t, os.WriteFile(filepath.Join(path, "prog"), []byte("body"), 0o755))

	if _, _, err := d.Get(e.Action); !errors.Is(err, ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Get: %v", err)
	}
	if _, err := d.Put(e, strings.NewReader("body")); err == nil {
		t.Error("Put replaced an executable of Go's")
	}
	wantTemps(t, d, 0)
}

func TestPutRefuses(t *testing.T) {
	good := numberedEntry(1, []byte("body"))
	errBody := errors.New("stream broke")
	tests := []struct {
		name   string
		change func(*Entry)
		body   io.Reader
		want   error // nil: any
	}{
		{"another body", nil, strings.NewReader("ydob"), ErrContent},
		{"short body", nil, strings.NewReader("bod"), ErrContent},
		{"no body", nil, strings.NewReader(""), ErrContent},
		{"long body", nil, strings.NewReader("body2"), ErrContent},
		{"endless body", nil, zeros{}, ErrContent},
		{"wrong size", func(e *Entry) { e.Size = 5 }, strings.NewReader("body"), ErrContent},
		{"size 0", func(e *Entry) { e.Size = 0 }, strings.NewReader("body"), ErrContent},
		{"size 0, no body", func(e *Entry) { e.Size = 0 }, strings.NewReader(""), ErrContent},
		{"broken body", nil, io.MultiReader(strings.NewReader("bo"), iotest.ErrReader(errBody)), errBody},
		{"negative size", func(e *Entry) { e.Size = -1 }, strings.NewReader("body"), nil},
		{"no time", func(e *Entry) { e.Time = time.Time{} }, strings.NewReader("body"), nil},
		{"time before 1970", func(e *Entry) { e.Time = time.Unix(-1, 0) }, strings.NewReader("body"), nil},
		{"time after 2262", func(e *Entry) { e.Time = time.Unix(1<<40, 0) }, strings.NewReader("body"), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := New(t.TempDir())
			// The empty body exists already, so that this also tries the way on which
			// Put writes no file for it.
			mustPut(t, d, numberedEntry(2, nil), nil)
			before := names(t, d)
			e := good
			if test.change != nil {
				test.change(&e)
			}
			_, err := d.Put(e, test.body)
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Fatalf("Put: %v, want %v", err, test.want)
			}
			if !strings.Contains(err.Error(), e.Action.String()) {
				t.Errorf("the error does not name the action: %v", err)
			}
			if after := names(t, d); strings.Join(after, "\n") != strings.Join(before, "\n") {
				t.Errorf("files before %q, after %q", before, after)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestUseIsRecordedByTheHour(t *testing.T) {
	empty, full := numberedEntry(1, nil), numberedEntry(2, []byte("body"))
	tests := []struct {
		name    string
		age     time.Duration
		use     func(d *Dir)
		touched bool
	}{
		{"get after 59 minutes", 59 * time.Minute, func(d *Dir) { d.Get(full.Action) }, false},
		{"get after 61 minutes", 61 * time.Minute, func(d *Dir) { d.Get(full.Action) }, true},
		{"put of the empty body after 59 minutes", 59 * time.Minute, func(d *Dir) { mustPut(t, d, empty, nil) }, false},
		{"put of the empty body after 61 minutes", 61 * time.Minute, func(d *Dir) { mustPut(t, d, empty, nil) }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := New(t.TempDir())
			mustPut(t, d, full, []byte("body"))
			mustPut(t, d, empty, nil)
			then := time.Now().Add(-test.age).Truncate(time.Second)
			paths := []string{d.actionPath(full.Action), d.bodyPath(full.Output)}
			if strings.HasPrefix(test.name, "put") {
				paths = []string{d.bodyPath(empty.Output)}
			}
			for _, path := range paths {
				mustDo(t, os.Chtimes(path, then, then))
			}
			test.use(d)
			for _, path := range paths {
				info, err := os.Stat(path)
				mustDo(t, err)
				if touched := !info.ModTime().Equal(then); touched != test.touched {
					t.Errorf("%s touched: %v, want %v", path, touched, test.touched)
				}
			}
		})
	}
}

func TestEmptyBodyIsWrittenOnce(t *testing.T) {
	d := New(t.TempDir())
	first, err := os.Stat(mustPut(t, d, numberedEntry(1, nil), nil))
	mustDo(t, err)
	second, err := os.Stat(mustPut(t, d, numberedEntry(2, nil), nil))
	mustDo(t, err)
	if !os.SameFile(first, second) {
		t.Error("the empty body was written again")
	}
}

func TestLinkTakesTheNameAlone(t *testing.T) {
	d, links := New(t.TempDir()), t.TempDir()
	e := numberedEntry(1, []byte("body"))
	body := mustPut(t, d, e, []byte("body"))
	path := filepath.Join(links, "link")
	for _, was := range []string{"nothing", "another file", "the body"} {
		if was == "another file" {
			mustDo(t, os.Remove(path))
			mustDo(t, os.WriteFile(path, []byte("hole"), 0o644))
		}
		if err := d.Link(e, path); err != nil {
			t.Fatalf("where %s was: %v", was, err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "body" {
			t.Errorf("where %s was: %q, %v", was, data, err)
		}
		if files, err := os.ReadDir(links); err != nil || len(files) != 1 {
			t.Errorf("where %s was, %v, and %v", was, files, err)
		}
	}
	if data, err := os.ReadFile(body); err != nil || string(data) != "body" {
		t.Errorf("the body: %q, %v", data, err)
	}

	damaged := numberedEntry(2, []byte("long"))
	mustDo(t, os.WriteFile(mustPut(t, d, damaged, []byte("long")), []byte("cut"), 0o644))
	if err := d.Link(damaged, path); !errors.Is(err, errBodySize) {
		t.Errorf("a damaged body: %v", err)
	}
	if files, err := os.ReadDir(links); err != nil || len(files) != 1 {
		t.Errorf("after a damaged body %v, and %v", files, err)
	}
}

func TestFileInPlaceOfDirectory(t *testing.T) {
	root := filepath.Join(t.TempDir(), "file")
	mustDo(t, os.WriteFile(root, nil, 0o644))
	d := New(root)
	e := numberedEntry(1, []byte("body"))
	calls := everyUpkeep(d)
	if runtime.GOOS == "windows" {
		delete(calls, "TrimDue") // a path below a file is one that does not exist
	}
	calls["Get"] = func() error { _, _, err := d.Get(e.Action); return err }
	calls["Put"] = func() error { _, err := d.Put(e, strings.NewReader("body")); return err }
	for name, call := range calls {
		if err := call(); err == nil || !strings.Contains(err.Error(), root) {
			t.Errorf("%s: %v, want an error that names %s", name, err, root)
		}
	}
}

// everyUpkeep returns a call of each method that looks at the whole directory.
func everyUpkeep(d *Dir) map[string]func() error {
	return map[string]func() error{
		"Trim":    func() error { _, err := d.Trim(TrimPolicy{MaxAge: 1, MaxSize: 1}); return err },
		"Clean":   func() error { _, err := d.Clean(time.Time{}); return err },
		"TrimDue": func() error { _, err := d.TrimDue(); return err },
	}
}

// names lists the files of d, relative to it.
func names(t *testing.T, d *Dir) []string {
	t.Helper()
	var list []string
	mustDo(t, filepath.WalkDir(d.Path(), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			name, _ := filepath.Rel(d.Path(), path)
			list = append(list, filepath.ToSlash(name))
		}
		return err
	}))
	return list
}

func wantTemps(t *testing.T, d *Dir, want int) {
	t.Helper()
	got := 0
	for _, name := range names(t, d) {
		if strings.HasSuffix(name, tempSuffix) {
			got++
		}
	}
	if got != want {
		t.Errorf("%d temporary files, want %d", got, want)
	}
}

// wantWhole checks that every file with the name of a cache file is whole. It returns
// how many entries Get finds.
func wantWhole(t *testing.T, d *Dir) (hits int) {
	t.Helper()
	mustDo(t, d.walk(func(f file) error {
		if f.kind == tempFile {
			return nil
		}
		data, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		switch f.kind {
		case bodyFile:
			if sum := sha256.Sum256(data); !strings.Contains(f.path, protocol.OutputID(sum).String()) {
				t.Errorf("%s is damaged", f.path)
			}
		case actionFile:
			e, err := parseAction(data)
			if err != nil {
				t.Errorf("%s: %v", f.path, err)
			} else if _, _, err := d.Get(e.Action); err != nil {
				t.Error(err)
			} else {
				hits++
			}
		}
		return nil
	}))
	return hits
}

func mustDo(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
