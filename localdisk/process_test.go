package localdisk

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary starts itself as other processes. A process with roleVariable set
// plays that role on the directory in dirVariable, and exits.
const (
	roleVariable = "LOCALDISK_TEST_ROLE"
	dirVariable  = "LOCALDISK_TEST_DIR"
)

func TestMain(m *testing.M) {
	roles := map[string]func(*Dir) error{
		"put and get": func(d *Dir) error { return putAndGet(d, 1) },
		"put half":    putHalf,
		"put forever": putForever,
		"claim":       claim,
	}
	name := os.Getenv(roleVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := roles[name](New(os.Getenv(dirVariable))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process returns a command that plays role on d.
func process(t *testing.T, d *Dir, role string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	mustDo(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+d.Path())
	cmd.Stderr = os.Stderr
	return cmd
}

// variant returns one of the bodies that are put under the n-th action, and its entry.
// Some actions share a body, and some bodies are empty.
func variant(n, v int) (Entry, []byte) {
	data := bytes.Repeat([]byte{byte(v)}, n%7*v*1000)
	return numberedEntry(n, data), data
}

const variants = 3

// putAndGet puts and gets a few actions, the same ones in every process that runs it.
// Each body that it gets must be whole and one of the variants.
func putAndGet(d *Dir, seed int) error {
	for round := range 20 {
		for n := range 20 {
			e, data := variant(n, (n+round+seed)%variants)
			if _, err := d.Put(e, bytes.NewReader(data)); err != nil {
				return err
			}
			got, path, err := d.Get(e.Action)
			if err != nil {
				return fmt.Errorf("after a put: %w", err)
			}
			stored, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if int64(len(stored)) != got.Size || sha256.Sum256(stored) != got.Output {
				return fmt.Errorf("%s is not what its entry says", path)
			}
		}
	}
	return nil
}

func TestManyProcessesOnTheSameEntries(t *testing.T) {
	d := New(t.TempDir())
	var wg sync.WaitGroup
	for range 2 {
		cmd := process(t, d, "put and get")
		wg.Go(func() {
			if err := cmd.Run(); err != nil {
				t.Error(err)
			}
		})
	}
	for seed := range 8 {
		wg.Go(func() {
			if err := putAndGet(d, seed); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if hits := wantWhole(t, d); hits != 20 {
		t.Errorf("%d entries, want 20", hits)
	}
	wantTemps(t, d, 0)
}

// halfPut is the entry whose put putHalf does not finish.
func halfPut() (Entry, []byte) {
	data := bytes.Repeat([]byte("body"), 1<<18)
	return numberedEntry(1, data), data
}

// putHalf begins to put a body, of which only half arrives. Then it prints a line and
// waits.
func putHalf(d *Dir) error {
	e, data := halfPut()
	wait := readerFunc(func([]byte) (int, error) {
		fmt.Println("half")
		time.Sleep(time.Hour)
		return 0, io.EOF
	})
	_, err := d.Put(e, io.MultiReader(bytes.NewReader(data[:len(data)/2]), wait))
	return err
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// putForever puts one new entry after the other, and prints a line after each.
func putForever(d *Dir) error {
	data := make([]byte, 100_000)
	for n := 0; ; n++ {
		copy(data, fmt.Sprint(n))
		if _, err := d.Put(numberedEntry(n, data), bytes.NewReader(data)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// killAfter starts cmd and kills it after cmd has printed that many lines.
func killAfter(t *testing.T, cmd *exec.Cmd, lines int) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	mustDo(t, err)
	mustDo(t, cmd.Start())
	scanner := bufio.NewScanner(out)
	for range lines {
		if !scanner.Scan() {
			t.Error("ended before it was killed")
		}
	}
	mustDo(t, cmd.Process.Kill())
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || runtime.GOOS != "windows" && exit.ExitCode() != -1 {
		t.Errorf("ended with %v, want it killed", err)
	}
}

func TestKilledInTheMiddleOfAPut(t *testing.T) {
	d := New(t.TempDir())
	killAfter(t, process(t, d, "put half"), 1)

	left := names(t, d)
	if len(left) != 1 || !strings.HasSuffix(left[0], tempSuffix) {
		t.Errorf("left are %q, want one temporary file", left)
	}
	e, data := halfPut()
	if _, _, err := d.Get(e.Action); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	mustPut(t, d, e, data)
	d.now = func() time.Time { return time.Now().Add(3 * time.Hour) }
	_, err := d.Trim(TrimPolicy{})
	mustDo(t, err)
	wantTemps(t, d, 0)
	if hits := wantWhole(t, d); hits != 1 {
		t.Errorf("%d entries, want 1", hits)
	}
}

func TestKilledAtAnyMoment(t *testing.T) {
	d := New(t.TempDir())
	for lines := 1; lines <= 15; lines++ {
		killAfter(t, process(t, d, "put forever"), lines)
		if hits := wantWhole(t, d); hits < lines {
			t.Errorf("%d entries after %d were put", hits, lines)
		}
	}
}

func claim(d *Dir) error {
	due, err := d.TrimDue()
	fmt.Println(due)
	return err
}

func TestOneProcessIsToldToTrim(t *testing.T) {
	d := New(t.TempDir())
	yesterday := time.Now().Add(-25 * time.Hour)
	d.now = func() time.Time { return yesterday }
	if due, err := d.TrimDue(); due || err != nil { // begins the first day
		t.Fatal(due, err)
	}
	var wg sync.WaitGroup
	answers := make([]string, 8)
	for i := range answers {
		cmd := process(t, d, "claim")
		wg.Go(func() {
			out, err := cmd.Output()
			if err != nil {
				t.Error(err)
			}
			answers[i] = strings.TrimSpace(string(out))
		})
	}
	wg.Wait()
	told := 0
	for _, answer := range answers {
		if answer == "true" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("answers %q, want one true", answers)
	}
}
