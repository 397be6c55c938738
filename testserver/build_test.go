package testserver

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestRemoveUnused(t *testing.T) {
	folder := t.TempDir()
	limit := time.Now().Add(-time.Hour)
	for name, used := range map[string]time.Time{"old": limit.Add(-time.Minute), "new": limit.Add(time.Minute)} {
		version := filepath.Join(folder, name)
		if err := os.MkdirAll(version, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(version, "server"), nil, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(version, used, used); err != nil {
			t.Fatal(err)
		}
	}
	if err := removeUnused(folder, limit); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 1 || left[0].Name() != "new" {
		t.Errorf("left: %v, %v", left, err)
	}
}
