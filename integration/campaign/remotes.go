package main

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/larderbuild/larder/testserver"
)

// inBucket returns the variables of those who use a prefix of the campaign's bucket.
func inBucket(s3 testserver.S3Server, prefix string) []string {
	return append(s3.Environ(), "LARDER_REMOTE="+s3.URL(bucket, prefix))
}

// inDirectory returns the variables of those who use a directory.
func inDirectory(dir string) []string {
	at := url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(dir), "/")}
	return []string{"LARDER_REMOTE=" + at.String()}
}

// inActions returns the variables of a job that uses a cache service with token.
func inActions(endpoint, token string) []string {
	return append(testserver.ActionsEnviron(endpoint, token), "LARDER_REMOTE=gha://")
}

// link is a [testserver.Link] whose faults begin later.
type link struct {
	*testserver.Link
}

// from has cause act on l after a while. What it returns heals l.
func (l *link) from(after time.Duration, cause func(*link)) (heal func()) {
	if after == 0 {
		cause(l)
		return l.Heal
	}
	var mu sync.Mutex
	healed := false
	timer := time.AfterFunc(after, func() {
		mu.Lock()
		defer mu.Unlock()
		if !healed {
			cause(l)
		}
	})
	return func() {
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		healed = true
		l.Heal()
	}
}

// unmount puts a file in the place of folder, as where nothing is mounted. What it
// returns puts folder back.
func unmount(folder string) (mount func(), err error) {
	away := folder + ".away"
	if err := os.Rename(folder, away); err != nil {
		return nil, err
	}
	mount = func() {
		os.Remove(folder)
		if err := os.Rename(away, folder); err != nil {
			panic(broken(err.Error()))
		}
	}
	return mount, os.WriteFile(folder, nil, 0o666)
}

// replace puts FIFOs in the place of a share of the files in folder, so that a reader may
// wait for them without end. What it returns puts the files back, except where another file
// stands by now, and lets those go on who wait.
func replace(folder string, share float64, seed uint64) (restore func(), err error) {
	chance := newChance(share, seed)
	var replaced []string
	restore = func() {
		for _, path := range replaced {
			if err := putBack(path); err != nil {
				panic(broken(err.Error()))
			}
		}
	}
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !chance.hits() {
			return err
		}
		if err := os.Rename(path, path+aside); err != nil {
			return err
		}
		replaced = append(replaced, path)
		return mkfifo(path)
	})
	if err != nil {
		restore()
		return nil, err
	}
	return restore, nil
}

// putBack ends what replace has done to the file at path.
func putBack(path string) error {
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		return os.Remove(path + aside)
	}
	release := openFIFO(path)
	defer release()
	return os.Rename(path+aside, path)
}

// aside ends the names of files whose places FIFOs take.
const aside = ".aside"
