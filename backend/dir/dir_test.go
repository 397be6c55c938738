package dir_test

import (
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/dir"
)

func TestStore(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store {
		s, err := dir.Open(t.Context(), dir.Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
