package tier

import (
	"log/slog"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

func TestStore(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store {
		s, err := Open(backendtest.Memory(), Config{Dir: t.TempDir(), MaxSize: 1 << 30, Immutable: func(string) bool { return false }, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
