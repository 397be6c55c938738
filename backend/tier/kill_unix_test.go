//go:build unix

package tier

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/dir"
)

// killedVar names the folder in which a process of this program puts, until it is killed.
const killedVar = "LARDER_TIER_KILLED"

func TestMain(m *testing.M) {
	if folder := os.Getenv(killedVar); folder != "" {
		putUntilKilled(folder)
	}
	os.Exit(m.Run())
}

// openIn opens a tier in a folder, in front of a directory in it. Some requests of the store take a
// while, and some fail.
func openIn(folder string) (*Store, error) {
	behind, err := dir.Open(context.Background(), dir.Config{Dir: filepath.Join(folder, "store")})
	if err != nil {
		return nil, err
	}
	faulty := backendtest.Faulty(behind, func(string, string) backendtest.Fault {
		f := backendtest.Fault{Delay: time.Duration(rand.IntN(3)) * time.Millisecond}
		if rand.IntN(10) == 0 {
			f.Err = errDown
		}
		return f
	})
	return Open(faulty, Config{Dir: filepath.Join(folder, "tier"), MaxSize: 1 << 20, Immutable: func(string) bool { return false }, Log: slog.New(slog.DiscardHandler)})
}

// killedKeys is how many keys the processes put, one after the other, again and again.
const killedKeys = 7

// putUntilKilled puts, and prints the number of each Put that was acknowledged.
func putUntilKilled(folder string) {
	s, err := openIn(folder)
	if err != nil {
		panic(err)
	}
	first := 0
	_, _ = fmt.Sscan(os.Getenv(killedVar+"_FIRST"), &first)
	for n := first; ; n++ {
		if _, err := put(context.Background(), s, fmt.Sprint("k", n%killedKeys), killedBody(n), backend.Condition{}); err == nil {
			fmt.Println(n)
		}
	}
}

func killedBody(n int) string { return fmt.Sprintf("%d %s", n, strings.Repeat("x", n*7919%50_000)) }

// TestKilled: what a process has acknowledged before it was killed is there for the next one, and in
// the store in the end.
func TestKilled(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	last := make(map[string]int) // the last acknowledged Put of each key
	next := 0
	for range 6 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killedVar+"="+folder, fmt.Sprint(killedVar, "_FIRST=", next))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		begin := next
		moment := begin + 1 + rand.IntN(50)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if _, err := fmt.Sscan(lines.Text(), &next); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			last[fmt.Sprint("k", next%killedKeys)] = next
			if next >= moment {
				moment = 1 << 30
				time.AfterFunc(time.Duration(rand.IntN(3000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
			}
		}
		_ = cmd.Wait() // it was killed
		if next == begin {
			t.Fatal("a process acknowledged nothing")
		}
		next += killedKeys // beyond what was under way
		s, err := openIn(folder)
		if err != nil {
			t.Fatal(err)
		}
		checkKilled(t, s, last)
		r := rig{Store: s, t: t}
		r.close()
	}
	store, err := dir.Open(context.Background(), dir.Config{Dir: filepath.Join(folder, "store")})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(store, Config{Dir: filepath.Join(folder, "tier"), MaxSize: 1 << 20, Immutable: func(string) bool { return false }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.settleAll(t.Context(), s.waitingKeys("")); err != nil {
		t.Error(err)
	}
	checkKilled(t, store, last)
	r := rig{Store: s, t: t}
	r.close()
}

// checkKilled checks that a store has the last Puts, or whole ones that came after.
func checkKilled(t *testing.T, s backend.Store, last map[string]int) {
	t.Helper()
	for key, n := range last {
		got, _, err := "", backend.Object{}, errDown
		for range 20 { // requests fail sometimes
			if got, _, err = get(t.Context(), s, key, backend.Range{}); err == nil {
				break
			}
		}
		var has int
		_, _ = fmt.Sscan(got, &has)
		if err != nil || has < n || got != killedBody(has) {
			t.Errorf("%s: got %.12q, %v, want %d or later", key, got, err, n)
		}
	}
}

// TestUnopened: an object that waits is not lost if its file can't be opened for once, as when the
// process has too many files open.
func TestUnopened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1<<30)
		r.down()
		r.put("k", "x")
		synctest.Wait() // until the first attempt is over
		path := r.objects["k"].path
		if err := errors.Join(os.Rename(path, path+".saved"), os.Symlink(path, path)); err != nil { // a loop
			t.Fatal(err)
		}
		r.faults(nil)
		time.Sleep(2 * maxBackoff)
		if got, _, err := get(t.Context(), r.Store, "k", backend.Range{}); !errors.Is(err, syscall.ELOOP) {
			t.Errorf("got %q, %v", got, err)
		}
		if err := os.Rename(path+".saved", path); err != nil {
			t.Fatal(err)
		}
		r.want("k", "x")
		time.Sleep(2 * maxBackoff)
		r.wantStored("k", "x")
		r.close()
	})
}
