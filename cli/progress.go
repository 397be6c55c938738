package cli

import (
	"io"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/larderbuild/larder/cache"
)

// newBar returns a progress bar, on stderr where that is a terminal and nowhere
// else. Errors of a bar don't matter: they say that it can't be drawn.
func (p *program) newBar(what string, options ...progressbar.Option) *progressbar.ProgressBar {
	out := io.Discard
	if term.IsTerminal(int(p.stderr.Fd())) {
		out = p.stderr
	}
	return progressbar.NewOptions(0, append(options,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(),
		progressbar.OptionClearOnFinish())...)
}

// countEntries shows the engine's progress on bar, in entries.
func countEntries(bar *progressbar.ProgressBar) cache.Progress {
	return cache.Progress{
		Planned: func(entries int, _ int64) { bar.ChangeMax(bar.GetMax() + entries) },
		Done:    func(int64) { _ = bar.Add(1) },
	}
}

// countBytes shows the engine's progress on bar, in bytes.
func countBytes(bar *progressbar.ProgressBar) cache.Progress {
	return cache.Progress{
		Planned: func(_ int, bytes int64) { bar.ChangeMax64(bar.GetMax64() + bytes) },
		Done:    func(bytes int64) { _ = bar.Add64(bytes) },
	}
}
