package session

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Memory is what the sessions of one local tier remember of a remote, such as that it
// does not answer, or of a scope in it. Each fact is a file of its own, so sessions that
// note different facts do not meet. Everything is forgotten in time. Methods may be called
// at the same time, also by several processes.
type Memory struct{ path string } // of the files, without the name of the fact

// Fact is something that is remembered of a remote.
type Fact string

const (
	// Down says that nothing came back from the remote.
	Down Fact = "down"
	// Denied says that the remote takes nothing that this machine writes to the scope.
	Denied Fact = "denied"
	// Told says that a person was told of trouble with the remote.
	Told Fact = "told"
	// Conditional says that the remote has conditional puts.
	Conditional Fact = "conditional"
	// Settling is only claimed: by a process that waits until builds have ended.
	Settling Fact = "settling"
	// Unconditional says that the remote has none, or ignores conditions.
	Unconditional Fact = "unconditional"
)

// forgetAfter is how long a fact is kept that nobody notes again.
const forgetAfter = 7 * 24 * time.Hour

// memoryDir returns the folder of what is remembered below local.
func memoryDir(local string) string { return filepath.Join(local, "larder", "remotes") }

// NewMemory returns what is remembered below local, the directory of a local tier, of
// the remote with this URL. It touches no file.
func NewMemory(local, remote string) Memory {
	sum := sha256.Sum256([]byte(remote))
	return Memory{filepath.Join(memoryDir(local), hex.EncodeToString(sum[:16]))}
}

// NewScopeMemory returns what is remembered below local of the scope that t writes. It
// touches no file.
func NewScopeMemory(local string, t Target) Memory {
	return Memory{filepath.Join(memoryDir(local), t.scopeID())}
}

func (m Memory) file(f Fact) string { return m.path + "." + string(f) }

// Until returns until when f holds, and zero if f is not remembered.
func (m Memory) Until(f Fact) time.Time { return m.read(f).until }

// Known reports whether f holds now.
func (m Memory) Known(f Fact) bool { return time.Now().Before(m.Until(f)) }

// fact is the content of a fact's file.
type fact struct {
	noted, until time.Time
}

// read returns what is remembered as f, or zero. A fact that was noted in the future
// counts for nothing: a clock was wrong then, or is now.
func (m Memory) read(f Fact) fact {
	content, err := os.ReadFile(m.file(f))
	if err != nil {
		return fact{}
	}
	var noted, until int64
	if _, err := fmt.Sscanf(string(content), "%d %d\n", &noted, &until); err != nil {
		return fact{}
	}
	known := fact{time.Unix(0, noted), time.Unix(0, until)}
	if known.noted.After(time.Now()) || known.until.Before(known.noted) {
		return fact{}
	}
	return known
}

// Note remembers f for the given time.
func (m Memory) Note(f Fact, d time.Duration) error {
	now := time.Now()
	return m.write(f, fact{now, now.Add(d)})
}

// NoteAgain remembers f for twice as long as the last time, for first if it was not
// remembered, and for longest at most. It is for what a session that began at since has
// found out. If another one has noted f meanwhile, NoteAgain leaves it at that. It
// returns until when f holds.
func (m Memory) NoteAgain(f Fact, since time.Time, first, longest time.Duration) (until time.Time, err error) {
	last := m.read(f)
	if last.noted.After(since) {
		return last.until, nil
	}
	now := time.Now()
	until = now.Add(min(max(2*last.until.Sub(last.noted), first), longest))
	return until, m.write(f, fact{now, until})
}

// Once remembers f for the given time, and reports true, unless f is known. Of several
// processes that ask at the same time one at most gets true.
func (m Memory) Once(f Fact, d time.Duration) bool {
	_ = os.MkdirAll(filepath.Dir(m.path), 0o700) // without it everybody gets true
	release, ok := m.Claim(f)
	if !ok {
		return false
	}
	defer release()
	if m.Known(f) {
		return false
	}
	_ = m.Note(f, d)
	return true
}

// Forget forgets f.
func (m Memory) Forget(f Fact) { _ = os.Remove(m.file(f)) }

// write writes the file of f.
func (m Memory) write(f Fact, known fact) error {
	if err := os.MkdirAll(filepath.Dir(m.path), 0o700); err != nil {
		return err
	}
	return WriteFile(m.file(f), fmt.Appendf(nil, "%d %d\n", known.noted.UnixNano(), known.until.UnixNano()))
}

// Claim gives the caller alone the right to find out whether f still holds, until it
// calls release. Where a file can't be locked, everybody has the right.
func (m Memory) Claim(f Fact) (release func(), ok bool) {
	l, held, _ := tryLock(m.file(f)+lockSuffix, os.O_CREATE|os.O_RDONLY)
	return l.Close, !held
}

// trimMemory removes what is to be forgotten below local.
func trimMemory(local string) {
	dir := memoryDir(local)
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		_ = RemoveOld(filepath.Join(dir, f.Name()), forgetAfter) // or the next time
	}
}
