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
	// MaxAge is how long an unused file stays, and up to an hour longer, by
	// the imprecision of modification times. 0: for ever.
	MaxAge time.Duration

	// MaxSize is how many bytes all files together may have. 0: any number.
	MaxSize int64

	// KeepSince protects every file that may have been used at or after it.
	// Zero: none.
	KeepSince time.Time
}

// Trimmed says what Trim or Clean did. An entry is two files, unless it shares
// its body with others.
type Trimmed struct {
	Files     int   // removed
	Bytes     int64 // removed
	BytesLeft int64 // that remain in the cache
}

// Trim removes files that were not used for long and, if the rest is still too
// large, those whose use is oldest; besides, temporary files that killed
// processes left behind. It goes by each file's own modification time. An
// entry's two files are touched together, so they mostly go together; where
// one stays for a while, that is a miss or an unused body, and no harm.
//
// Files used within the last hour stay, whatever the policy. Trim reads all
// directories, twice if the size is exceeded, and holds no list of the files.
// It returns the first error, having done what it could.
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

// Clean removes all entries, and temporary files, but none that may have been
// used at or after keepSince, which may be zero. What is neither Go's cache
// entries nor larder's stays: README, trim.txt, fuzz/, larder/. It returns
// the first error, having done what it could.
func (d *Dir) Clean(keepSince time.Time) (Trimmed, error) {
	trimmed, err := d.sweep(usedSince(keepSince), func(file) bool { return true })
	return trimmed, wrap("clean", d, err)
}

// sweep removes the files that doom chooses, as long as they were not used at
// or after cutoff.
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

// usedSince returns the modification time from which on a file may have been
// used at or after t; for the zero t, a time that no file has.
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

// ages counts bytes by the minute of their last use. Minutes are finer than
// modification times are true, and few.
type ages map[int64]int64

func minute(f file) int64 { return f.mtime.Unix() / 60 }

func (a ages) add(f file) { a[minute(f)] += f.size }

// selection chooses the files that were last used before a minute, and some
// of those of that minute.
type selection struct {
	minute int64
	bytes  int64 // how many of that minute's to choose yet
}

// oldest returns the selection of n bytes, or just over, of the files counted;
// of all of them, if they are fewer.
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
