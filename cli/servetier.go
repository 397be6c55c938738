package cli

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strings"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/dir"
	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/backend/tier"
	"github.com/larderbuild/larder/cache"
)

const defaultTierSize = "20GiB"

func tierFlags() []urfave.Flag {
	return []urfave.Flag{
		&urfave.StringFlag{Name: "tier", Usage: "`DIRECTORY` on this machine's disk in front of the store: what one client has read, the others get from there, and what they write is stored while they go on"},
		&urfave.StringFlag{Name: "tier-size", Usage: "`SIZE` of what --tier keeps", DefaultText: defaultTierSize},
	}
}

// openTier returns the tier that cmd names in front of store, at url, and nil if it names none.
func openTier(store backend.Store, url string, readOnly bool, cmd *urfave.Command, log *slog.Logger) (*tier.Store, error) {
	folder, size := cmd.String("tier"), cmd.String("tier-size")
	switch {
	case folder == "" && size != "":
		return nil, serveUsage("--tier is missing: --tier-size is about it")
	case folder == "":
		return nil, nil
	case size == "":
		size = defaultTierSize
	}
	cfg := tier.Config{Dir: folder, Immutable: isImmutable, ReadOnly: readOnly, Log: log}
	err := parseSize(&cfg.MaxSize, size)
	if err == nil && cfg.MaxSize == 0 {
		err = errors.New("want a size above 0")
	}
	if err != nil {
		return nil, serveUsage("--tier-size is %q: %w", size, err)
	}
	if overlaps(folder, url) {
		return nil, serveUsage("--tier is %q: want another folder than that of --store", folder)
	}
	t, err := tier.Open(store, cfg)
	if err != nil {
		return nil, serveUsage("--tier: %w", err)
	}
	return t, nil
}

// isImmutable reports whether the object under key, if there is one, is as good as any other
// that was or will be there.
func isImmutable(key string) bool {
	switch cache.ParseKey(key).Kind {
	case cache.Pack, cache.EntryObject:
		return true
	}
	return strings.HasPrefix(key, "cas/")
}

// overlaps reports whether folder and the store at url, if that is a directory, are one or one is
// in the other.
func overlaps(folder, url string) bool {
	if !open.Traits(url).Ownerless {
		return false
	}
	store, err := dir.ParseConfig(url)
	if err != nil {
		return false
	}
	folder, err = filepath.Abs(folder)
	return err == nil && (isWithin(folder, store.Dir) || isWithin(store.Dir, folder))
}

// isWithin reports whether path is folder or in it.
func isWithin(path, folder string) bool {
	rel, err := filepath.Rel(folder, path)
	return err == nil && filepath.IsLocal(rel)
}
