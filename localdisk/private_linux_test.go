package localdisk

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCheckPrivateByOwner looks at directories that belong to others. Root can give its
// directories away; other users look at directories that root has.
func TestCheckPrivateByOwner(t *testing.T) {
	const other, team = 12345, 54321
	if os.Geteuid() != 0 {
		expectPrivate(t, "/", "")
		return
	}
	tests := []struct {
		name         string
		mode         os.FileMode
		owner, group int
		want         string // in the error; "": none
	}{
		{"root's", 0o755, 0, 0, ""},
		{"root's, its group may write", 0o775, 0, 0, ""},
		{"root's, a team may write", 0o775, 0, team, "so that all of group 54321"},
		{"root's, a team may read", 0o750, 0, team, ""},
		{"another's", 0o700, other, other, "belongs to uid 12345"},
		{"another's, in root's group", 0o755, other, 0, "belongs to uid 12345"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tier")
			mustDo(t, os.Mkdir(path, 0o700))
			mustDo(t, os.Chown(path, test.owner, test.group))
			mustDo(t, os.Chmod(path, test.mode))
			expectPrivate(t, path, test.want)
			expectPrivate(t, link(t, path), test.want)
		})
	}
}
