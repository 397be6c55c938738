//go:build unix

package integration

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestFolderThatBlocks: where an object of a file:// remote should be is a FIFO, and so is
// each file that a setting names. To open one would wait for ever, as on a mount whose
// server is gone.
func TestFolderThatBlocks(t *testing.T) {
	t.Parallel()
	c, remote := usualChain(t), filepath.Join(t.TempDir(), "remote")
	url := "file://" + remote
	c.build(c.newStocked(t, url))
	walkFiles(t, remote, func(path string) {
		if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
			t.Fatal(err)
		}
	})
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		setting []string
		lines   bool // something is to be said
	}{
		"an object":             {[]string{"LARDER_READONLY=1"}, false},
		"the trust":             {[]string{"LARDER_TRUST=" + fifo}, true},
		"the key":               {[]string{"LARDER_SIGN_KEY=" + fifo}, true},
		"the record":            {[]string{"LARDER_RECORD=" + fifo}, true},
		"the AWS configuration": {[]string{"AWS_CONFIG_FILE=" + fifo, "LARDER_REMOTE=s3://bucket"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := c.newStocked(t, url, append([]string{"LARDER_BUDGET=" + faultBudget.String()}, test.setting...)...)
			r := c.buildInTime(m, c.withoutCacheAnd(faultBudget))
			if test.lines {
				r.wantOneLine(t)
			} else if r.stderr != "" {
				t.Errorf("it says\n%s", r.stderr)
			}
		})
	}
}
