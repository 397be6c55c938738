package cli

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/tier"
)

func TestTierFlags(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	folder := func(name string) string { return filepath.Join(root, name) }
	store := func(name string) string {
		return "file:///" + strings.TrimPrefix(filepath.ToSlash(folder(name)), "/")
	}
	const bucket = "s3://bucket/prefix"
	for _, test := range []struct {
		name string
		args []string
		url  string
		size int64  // of the tier; 0: there is none
		want string // in the error; "": none
	}{
		{"none", nil, bucket, 0, ""},
		{"the usual size", []string{"--tier", folder("a")}, bucket, 20 << 30, ""},
		{"a size", []string{"--tier", folder("b"), "--tier-size", "3MiB"}, bucket, 3 << 20, ""},
		{"in front of a directory", []string{"--tier", folder("c")}, store("store"), 20 << 30, ""},
		{"a name that begins alike", []string{"--tier", folder("store2")}, store("store"), 20 << 30, ""},
		{"a size alone", []string{"--tier-size", "3MiB"}, bucket, 0, "--tier is missing: --tier-size is about it"},
		{"no size", []string{"--tier", folder("d"), "--tier-size", "much"}, bucket, 0, `--tier-size is "much": want a size such as 500MB or 2GiB`},
		{"nothing", []string{"--tier", folder("d"), "--tier-size", "0"}, bucket, 0, `--tier-size is "0": want a size above 0`},
		{"the store's folder", []string{"--tier", folder("store")}, store("store"), 0, "want another folder than that of --store"},
		{"in the store's folder", []string{"--tier", folder("store/tier")}, store("store"), 0, "want another folder than that of --store"},
		{"around the store's folder", []string{"--tier", root}, store("store"), 0, "want another folder than that of --store"},
		{"a file", []string{"--tier", file}, bucket, 0, file},
		{"a folder in use", []string{"--tier", folder("a")}, bucket, 0, "another process uses it"},
	} {
		var got *tier.Store
		cmd := &urfave.Command{Flags: tierFlags(), Action: func(_ context.Context, cmd *urfave.Command) (err error) {
			got, err = openTier(backendtest.Memory(), test.url, false, cmd, slog.New(slog.DiscardHandler))
			return err
		}}
		err := cmd.Run(t.Context(), append([]string{"serve"}, test.args...))
		if test.want != "" {
			if usage := new(usageError); !errors.As(err, &usage) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		var size int64
		if got != nil {
			size = got.MaxSize
			t.Cleanup(func() { _ = got.Close() })
		}
		if err != nil || size != test.size {
			t.Errorf("%s: %v, a tier of %d bytes, want %d", test.name, err, size, test.size)
		}
	}
}

func TestImmutable(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("ab", 32)
	for key, want := range map[string]bool{
		"v1/main/p/ab/" + id: true,
		"v1/main/a/ab/" + id: true,
		"cas/" + id:          true,
		"v1/main/m/profile":  false,
		"ac/" + id:           false,
		"cache/key":          false,
		"casual":             false,
		"":                   false,
	} {
		if got := isImmutable(key); got != want {
			t.Errorf("%q: %v, want %v", key, got, want)
		}
	}
}
