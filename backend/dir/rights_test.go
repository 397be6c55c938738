package dir

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
)

func TestDenied(t *testing.T) {
	path := t.TempDir()
	if err := os.Chmod(path, 0o500); err != nil {
		t.Fatal(err)
	}
	// The rights are those of the thread, so the call must stay on it.
	s, err := newStore(path), error(nil)
	if !withoutRights(func() {
		_, err = s.Put(t.Context(), "a/key", strings.NewReader(""), backend.OptionsOf(nil))
	}) {
		t.Skip("no directory is closed to this user")
	}
	if !errors.Is(err, backend.ErrDenied) {
		t.Errorf("put: %v, want ErrDenied", err)
	}
}
