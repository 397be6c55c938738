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
	// because modification times are imprecise. 0: for ever.
	MaxAge time.Duration

	// MaxSize is how many bytes all files together may have. 0: no limit.
	MaxSize int64

	// KeepSince protects all files that may have been used at that time or later.
	// Zero: no file.
	KeepSince time.Time
}

// Trimmed says what Trim or Clean has removed. An entry has two files, but entries
// may share a body.
type Trimmed struct {
	Files     int   // removed
	Bytes     int64 // removed
	BytesLeft int64 // that remain in the cache
}

// Trim removes files that were not used for MaxAge. If the rest is larger than
// MaxSize, it also removes the files whose last use is oldest. It also removes
// temporary files that killed processes have left. Trim decides for each file by its
// modification time. A use touches both files of an entry, so Trim mostly removes
// both. If one of them stays for a while, it does no harm: it is a miss or an unused
// body.
//
// Trim never removes a file that was used within the last hour. It reads all
// directories, twice if MaxSize is exceeded, and keeps no list of all files in
// memory. It goes on after an error, and returns the first.
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
// at keepSince or later. A zero keepSince protects none. Other files stay: README,
// trim.txt, fuzz/, larder/. Clean goes on after an error, and returns the first.
func (d *Dir) Clean(keepSince time.Time) (Trimmed, error) {
	trimmed, err := d.sweep(usedSince(keepSince), func(file) bool { return true })
	return trimmed, wrap("clean", d, err)
}

// sweep removes the files for which chosen returns true, unless they were used at cutoff
// or later.
func (d *Dir) sweep(cutoff time.Time, chosen func(file) bool) (Trimmed, error) {
	var t Trimmed
	err := d.walk(func(f file) error {
		var removed bool
		var err error
		if chosen(f) && f.mtime.Before(cutoff) {
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

// usedSince returns the earliest modification time of a file that may have been used at
// t or later. For the zero t it returns a time later than that of any file.
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

// ages counts the bytes of files by the minute of the last use. There are few different
// minutes, and modification times are less precise than that.
type ages map[int64]int64

func minute(f file) int64 { return f.mtime.Unix() / 60 }

func (a ages) add(f file) { a[minute(f)] += f.size }

// selection chooses all files that were last used before a minute, and some of the
// files that were last used in that minute.
type selection struct {
	minute int64
	bytes  int64 // how many bytes of that minute's files are still to be chosen
}

// oldest returns a selection of the files that were counted whose use is oldest. They
// have n bytes or slightly more. If all files have fewer bytes, it selects all.
func (a ages) oldest(n int64) *selection {
	for _, m := range slices.Sorted(maps.Keys(a)) {
		if a[m] >= n {
			return &selection{m, n}
		}
		n -= a[m]
	}
	return &selection{minute: math.MaxInt64}
}

// take reports whether f is chosen. If it belongs to the last minute, take counts it.
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
