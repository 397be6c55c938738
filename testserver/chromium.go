package testserver

import (
	"os/exec"
	"testing"
)

// Chromium returns the path of a browser that shows pages without a screen: Chromium or Chrome.
func Chromium(t testing.TB) string {
	t.Helper()
	var err error
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		var file string
		if file, err = exec.LookPath(name); err == nil {
			return file
		}
	}
	unavailable(t, "%v: install Debian's package chromium", err)
	return ""
}
