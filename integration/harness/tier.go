package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/larderbuild/larder/localdisk"
)

// Age gives everything in dir the same time, of long ago. Of a file that has changed
// within the last two seconds the go command caches nothing.
func Age(dir string) error {
	then := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, then, then)
	})
}

// CompileStock runs go commands of version ("" for the one in PATH) in work, with dir
// as their cache and extra in their environment.
func CompileStock(dir, work, version string, commands []string, extra ...string) error {
	for _, args := range commands {
		cmd := exec.Command("go", strings.Fields(args)...)
		cmd.Dir = work
		cmd.Env = append(Environ("GOCACHE="+dir, "GOFLAGS=-buildvcs=false"), extra...)
		if version != "" {
			cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+version)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("compile the standard library: go %s: %w\n%s", args, err, out)
		}
	}
	return nil
}

// Lend has tier hold what stocks hold. The bodies are hard links, so whoever damages one
// must replace the file instead of writing to it. A body that is a folder has a program in
// it. The action files are copies: the go command writes to such files, and larder reads
// from their times what a build has used.
func Lend(tier string, stocks ...string) error {
	for _, stock := range stocks {
		err := filepath.WalkDir(stock, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			lent := filepath.Join(tier, strings.TrimPrefix(path, stock))
			switch {
			case d.IsDir():
				return os.MkdirAll(lent, 0o777)
			case exists(lent):
				return nil
			case strings.HasSuffix(path, "-d") || strings.HasSuffix(filepath.Dir(path), "-d"):
				return os.Link(path, lent)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(lent, data, 0o666)
		})
		if err != nil {
			return fmt.Errorf("lend %s: %w", stock, err)
		}
	}
	return nil
}

// Link makes to a copy of from that shares the files, none of which is ever
// written to.
func Link(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		copied := filepath.Join(to, strings.TrimPrefix(path, from))
		if d.IsDir() {
			return os.MkdirAll(copied, 0o777)
		}
		return os.Link(path, copied)
	})
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Tier looks for damage in the local tier in dir. Where it has looked at a file before
// and the file is the same still, it does not look again. The zero value has looked at
// nothing. Its method is for one goroutine at a time.
type Tier struct {
	Dir  string
	seen map[string]os.FileInfo
}

// Damage returns what is wrong in the tier: an error for each body that is not what its
// name says, and for each action that can't be read or has no body of its size. Of the
// latter, those without any body wrap fs.ErrNotExist. What is removed meanwhile is no
// damage.
func (t *Tier) Damage() (found []error) {
	if t.seen == nil {
		t.seen = make(map[string]os.FileInfo)
	}
	local := localdisk.New(t.Dir)
	err := filepath.WalkDir(t.Dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		id, suffix, _ := strings.Cut(d.Name(), "-")
		var sum [sha256.Size]byte
		n, err := hex.Decode(sum[:], []byte(id))
		if named := err == nil && n == len(sum); !named {
			return nil
		}
		switch suffix {
		case "a":
			if _, _, err := local.Get(sum); err != nil {
				found = append(found, err)
			}
		case "d":
			if err := t.checkBody(path, sum); err != nil && !errors.Is(err, fs.ErrNotExist) {
				found = append(found, err)
			}
		}
		return nil
	})
	if err != nil {
		found = append(found, err)
	}
	return found
}

// checkBody checks that the file at path has the given SHA-256.
func (t *Tier) checkBody(path string, want [sha256.Size]byte) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	now, err := f.Stat()
	if err != nil {
		return err
	}
	if before := t.seen[path]; before != nil && os.SameFile(before, now) && before.Size() == now.Size() && before.ModTime().Equal(now.ModTime()) {
		return nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if [sha256.Size]byte(hash.Sum(nil)) != want {
		return fmt.Errorf("%s is something else", path)
	}
	t.seen[path] = now
	return nil
}
