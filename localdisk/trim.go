package localdisk

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// TrimPolicy says what Trim removes.
type TrimPolicy struct {
	// MaxAge is how long an unused file stays. It may stay up to an hour longer,
	// because modification times are that imprecise. 0: for ever.
	MaxAge time.Duration

	// MaxSize is how many bytes all files together may have. 0: any number.
	MaxSize int64

	// KeepSince keeps every file that may have been used at that time or later. Zero:
	// none.
	KeepSince time.Time
}

// Trimmed says what Trim or Clean did. An entry has two files; several entries may
// share a body.
type Trimmed struct {
	Files     int   // removed
	Bytes     int64 // removed
	BytesLeft int64 // that remain in the cache
}

// Add adds what was done in another directory.
func (t *Trimmed) Add(other Trimmed) {
	t.Files += other.Files
	t.Bytes += other.Bytes
	t.BytesLeft += other.BytesLeft
}

// Trim removes the files that were unused for longer than policy.MaxAge. If the others
// are still too large, it removes those that were used longest ago. It also removes
// temporary files that killed processes left behind. Trim goes by the modification time
// of each file. A use touches both files of an entry, so both mostly go at the same
// time. If one stays, that is a miss or an unused body, which does no harm.
//
// Whatever policy says, a file that was used within the last hour stays. Trim reads all
// directories, and a second time if the size is exceeded. It keeps no list of the
// files. After an error it goes on; it returns the first one.
func (d *Dir) Trim(policy TrimPolicy) (Trimmed, error) {
	now := d.now()
	cutoff := earliest(now.Add(-Idle), usedSince(policy.KeepSince))
	aged := cutoff
	if policy.MaxAge > 0 {
		aged = earliest(aged, now.Add(-policy.MaxAge-touchInterval))
	}
	idle := make(ages)
	trimmed, err := d.sweep(cutoff, func(f file) bool {
		if f.kind == tempFile {
			return true
		}
		if policy.MaxAge > 0 && f.mtime.Before(aged) {
			return true
		}
		if f.mtime.Before(cutoff) {
			idle.add(f)
		}
		return false
	})
	if excess := trimmed.BytesLeft - policy.MaxSize; policy.MaxSize > 0 && excess > 0 {
		oldest := idle.oldest(excess)
		second, errSecond := d.sweep(cutoff, func(f file) bool {
			return f.kind != tempFile && f.mtime.Before(cutoff) && oldest.take(f)
		})
		trimmed.Files += second.Files
		trimmed.Bytes += second.Bytes
		trimmed.BytesLeft = second.BytesLeft
		err = cmp.Or(err, errSecond)
	}
	return trimmed, wrap("trim", d, err)
}

// Clean removes all entries and temporary files, except those that may have been used
// at keepSince or later. A zero keepSince keeps none. Everything else in the directory
// stays: README, trim.txt, fuzz/, larder/. After an error Clean goes on; it returns the
// first one.
func (d *Dir) Clean(keepSince time.Time) (Trimmed, error) {
	trimmed, err := d.sweep(usedSince(keepSince), func(file) bool { return true })
	return trimmed, wrap("clean", d, err)
}

// sweep removes the files that doom chooses, unless they were used at cutoff or later.
func (d *Dir) sweep(cutoff time.Time, doom func(file) bool) (Trimmed, error) {
	var t Trimmed
	err := d.walk(func(f file) error {
		var removed bool
		var err error
		if doom(f) && f.mtime.Before(cutoff) {
			removed, err = remove(f, cutoff)
		}
		if removed {
			t.Files++
			t.Bytes += f.size
		} else {
			t.BytesLeft += f.size
		}
		return err
	})
	return t, err
}

// usedSince returns a modification time: a file with that time or a later one may have
// been used at t or later. For the zero t it returns a time that no file has.
func usedSince(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(math.MaxInt32<<8, 0)
	}
	return t.Add(-touchInterval)
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func wrap(op string, d *Dir, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", op, d.root, err)
}

// ages counts bytes by the minute of their last use. Minutes are few, and still finer
// than modification times are precise.
type ages map[int64]int64

func minute(f file) int64 { return f.mtime.Unix() / 60 }

func (a ages) add(f file) { a[minute(f)] += f.size }

// selection chooses the files that were last used before a minute, and some of those
// that were last used in that minute.
type selection struct {
	minute int64
	bytes  int64 // how many of that minute's to choose yet
}

// oldest returns a selection of n bytes, or just over, of the files that a has counted.
// If a has counted less, the selection is all of them.
func (a ages) oldest(n int64) *selection {
	for _, m := range slices.Sorted(maps.Keys(a)) {
		if a[m] >= n {
			return &selection{m, n}
		}
		n -= a[m]
	}
	return &selection{minute: math.MaxInt64}
}

// take reports whether f is chosen.
func (s *selection) take(f file) bool {
	if m := minute(f); m != s.minute {
		return m < s.minute
	}
	if s.bytes <= 0 {
		return false
	}
	s.bytes -= f.size
	return true
}
