package cli

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/larderbuild/larder/localdisk"
)

// output is where a session of the go command says what it has to say.
type output struct {
	log    *slog.Logger
	counts io.Writer
	file   *logFile
	silent bool // nothing goes to stderr
}

// newOutput returns the output of a session. What happens, with all details, goes to the
// log of the background, and what a person should know to stderr, too. A nested session
// keeps silent there: a test compares what its go command prints.
func newOutput(stderr *os.File, level slog.Level, nested bool) output {
	file := new(logFile)
	inFile := newHandler(file, min(level, slog.LevelInfo))
	if nested {
		return output{slog.New(inFile), file, file, true}
	}
	return output{slog.New(slog.NewMultiHandler(newHandler(stderr, level), inFile)), stderr, file, false}
}

// logFile is the log of the background. It is opened for each line, since most sessions
// have nothing to write. Lines that come before its place is known wait.
type logFile struct {
	mu    sync.Mutex
	path  string
	early [][]byte
}

// logPath returns the path of the log of the background.
func logPath(local *localdisk.Dir) string { return filepath.Join(local.Path(), "larder", "log") }

// begin says where the log is.
func (l *logFile) begin(path string) {
	l.mu.Lock()
	l.path = path
	early := l.early
	l.early = nil
	l.mu.Unlock()
	for _, line := range early {
		_, _ = l.Write(line)
	}
}

// Write appends a line, with the time.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" {
		l.early = append(l.early, append([]byte(nil), line...))
		return len(line), nil
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return 0, err
	}
	file, err := openLog(l.path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if _, err := file.Write(append(time.Now().AppendFormat(nil, time.DateTime+" "), line...)); err != nil {
		return 0, err
	}
	return len(line), nil
}
