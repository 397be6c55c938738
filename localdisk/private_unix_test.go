//go:build unix

package localdisk

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestCheckPrivate(t *testing.T) {
	dir := func(t *testing.T, mode fs.FileMode) string {
		path := filepath.Join(t.TempDir(), "tier")
		mustDo(t, os.Mkdir(path, 0o700))
		mustDo(t, os.Chmod(path, mode))
		return path
	}
	// The group of a new directory is the user's own on some systems only.
	forGroup := "so that all of group"
	info, err := os.Stat(dir(t, 0o700))
	mustDo(t, err)
	if info.Sys().(*syscall.Stat_t).Gid == uint32(os.Geteuid()) {
		forGroup = ""
	}
	tests := []struct {
		name string
		path func(*testing.T) string
		want string // in the error; "": none
	}{
		{"0700", func(t *testing.T) string { return dir(t, 0o700) }, ""},
		{"0755", func(t *testing.T) string { return dir(t, 0o755) }, ""},
		{"0775", func(t *testing.T) string { return dir(t, 0o775) }, forGroup},
		{"0777", func(t *testing.T) string { return dir(t, 0o777) }, "has mode 0777, so that every user"},
		{"0702", func(t *testing.T) string { return dir(t, 0o702) }, "has mode 0702, so that every user"},
		{"sticky", func(t *testing.T) string { return dir(t, fs.ModeSticky|0o777) }, "every user"},
		{"missing", func(t *testing.T) string { return filepath.Join(t.TempDir(), "none", "below") }, ""},
		{"below a file", func(t *testing.T) string {
			file := filepath.Join(t.TempDir(), "file")
			mustDo(t, os.WriteFile(file, nil, 0o600))
			return filepath.Join(file, "below")
		}, "not a directory"},
		{"link to a good one", func(t *testing.T) string { return link(t, dir(t, 0o700)) }, ""},
		{"link to a bad one", func(t *testing.T) string { return link(t, dir(t, 0o777)) }, "every user"},
		{"link to nothing", func(t *testing.T) string { return link(t, "missing") }, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			expectPrivate(t, test.path(t), test.want)
		})
	}
}

// expectPrivate checks that CheckPrivate returns nil, or an error that contains want.
func expectPrivate(t *testing.T, path, want string) {
	t.Helper()
	err := CheckPrivate(path)
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("got %v, want %q", err, want)
	case err != nil && (!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n")):
		t.Errorf("%v: want one line that names %s", err, path)
	}
}

func link(t *testing.T, target string) string {
	path := filepath.Join(t.TempDir(), "link")
	mustDo(t, os.Symlink(target, path))
	return path
}

func TestSharing(t *testing.T) {
	const user, other, team = 1000, 1001, 100
	tests := []struct {
		name               string
		mode               fs.FileMode
		owner, group, user uint32
		want               string // what helps; "": nothing has to
	}{
		{"own", 0o700, user, team, user, ""},
		{"own, read by all", 0o755, user, team, user, ""},
		{"own, its group may write", 0o775, user, user, user, ""},
		{"own, a team may write", 0o775, user, team, user, "chmod g-w"},
		{"own, root's group may write", 0o775, user, 0, user, "chmod g-w"},
		{"own, all may write", 0o777, user, user, user, "chmod go-w"},
		{"another's", 0o700, other, other, user, "chown"},
		{"another's, in the user's group", 0o770, other, user, user, "chown"},
		{"root's", 0o755, 0, 0, user, ""},
		{"root's, its group may write", 0o775, 0, 0, user, ""},
		{"root's, the user's group may write", 0o775, 0, user, user, ""},
		{"root's, a team may write", 0o775, 0, team, user, "chmod g-w"},
		{"root's, all may write", fs.ModeSticky | 0o777, 0, 0, user, "chmod go-w"},
		{"root's own", 0o755, 0, 0, 0, ""},
		{"a user's, seen by root", 0o700, user, user, 0, "chown"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := sharing(fs.ModeDir|test.mode, test.owner, test.group, test.user)
			if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestUmask shows that only the user can write what is made, and only the user can
// enter the tier, even if the umask lets everybody.
func TestUmask(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)

	root := filepath.Join(t.TempDir(), "above", "cache")
	d := New(root)
	first, second := numberedEntry(1, []byte("body")), numberedEntry(2, []byte("more"))
	mustPut(t, d, first, []byte("body"))
	_, _, err := d.PutNew(second, bytes.NewReader([]byte("more")))
	mustDo(t, err)
	mustDo(t, os.Mkdir(filepath.Join(root, "links"), 0o755))
	mustDo(t, d.Link(first, filepath.Join(root, "links", "link")))
	copied := filepath.Join(root, "links", "copy")
	mustDo(t, d.copyTo(copied, second, d.bodyPath(second.Output)))
	_, err = d.TrimDue()
	mustDo(t, err)

	files := names(t, d)
	for _, name := range []string{"README", "larder/trim.txt", "links/copy", "links/link"} {
		if !slices.Contains(files, name) {
			t.Errorf("there is no %s", name)
		}
	}
	mustDo(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o644)
		switch {
		case path == root:
			want = 0o700
		case entry.IsDir():
			want = 0o755
		}
		if extra := info.Mode().Perm() &^ want; extra != 0 {
			t.Errorf("%s has mode %o, want at most %o", path, info.Mode().Perm(), want)
		}
		return nil
	}))
	expectPrivate(t, root, "")
	expectPrivate(t, filepath.Dir(root), "")
}
