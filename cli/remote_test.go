package cli

import (
	"context"
	"crypto/md5"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/localdisk"
)

// TestOpenRemote: nothing is opened, or written to, before it is used; and a store that
// must not be written refuses.
func TestOpenRemote(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "remote")
	url := "file:///" + strings.TrimPrefix(filepath.ToSlash(dir), "/")
	log := newLog(io.Discard, slog.LevelWarn)
	for _, readOnly := range []bool{true, false} {
		var counters backend.Counters
		s := settings{plainSettings: plainSettings{readOnly: readOnly, timeout: time.Minute}}
		store := openRemote(url, s, &counters, log)
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("the folder was made before its use, or by a read-only store: %v", err)
		}
		_, err := store.Put(t.Context(), "key", strings.NewReader("x"), backend.PutOptions{Size: 1, MD5: md5.Sum([]byte("x"))})
		if (err != nil) != readOnly {
			t.Errorf("read-only %v: %v", readOnly, err)
		}
		if requests := counters.Snapshot().Requests; (requests > 0) == readOnly {
			t.Errorf("read-only %v: %d requests", readOnly, requests)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestGivenVariables: what is set for larder bench is passed on, from wherever it came.
func TestGivenVariables(t *testing.T) {
	clearVariables(t)
	t.Setenv("LARDER_BUDGET", "1s")
	t.Setenv("LARDER_LOG", "info")
	cmd := &urfave.Command{Flags: flags(), Action: func(context.Context, *urfave.Command) error { return nil }}
	if err := cmd.Run(t.Context(), []string{"larder", "--log=debug", "--max-object=1KiB"}); err != nil {
		t.Fatal(err)
	}
	got, want := givenVariables(cmd), []string{"LARDER_BUDGET=1s", "LARDER_MAX_OBJECT=1KiB", "LARDER_LOG=debug"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNewRemoved(t *testing.T) {
	t.Parallel()
	since := time.Unix(1_700_000_000, 0)
	for _, test := range []struct {
		left  int64
		since time.Time
		inUse bool
	}{
		{0, time.Time{}, false},
		{1, time.Time{}, false},
		{0, since, false},
		{1, since, true},
	} {
		want := removed{2, 3, test.left, test.inUse}
		if got := newRemoved(localdisk.Trimmed{Files: 2, Bytes: 3, BytesLeft: test.left}, test.since); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// TestProgress: what is planned adds up, as where another job publishes meanwhile.
func TestProgress(t *testing.T) {
	t.Parallel()
	p := &program{stderr: tempFile(t)} // no terminal
	entries, bytes := p.newBar("entries"), p.newBar("bytes")
	for _, progress := range []struct{ planned, done func() }{
		{func() { countEntries(entries).Planned(3, 100) }, func() { countEntries(entries).Done(50) }},
		{func() { countBytes(bytes).Planned(3, 100) }, func() { countBytes(bytes).Done(50) }},
	} {
		progress.planned()
		progress.done()
		progress.planned()
	}
	if max, now := entries.GetMax(), entries.State().CurrentNum; max != 6 || now != 1 {
		t.Errorf("%d of %d entries, want 1 of 6", now, max)
	}
	if max, now := bytes.GetMax64(), bytes.State().CurrentNum; max != 200 || now != 50 {
		t.Errorf("%d of %d bytes, want 50 of 200", now, max)
	}
	if got := contents(t, p.stderr); got != "" {
		t.Errorf("printed %q, where there is no terminal", got)
	}
}
