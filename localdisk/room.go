package localdisk

import (
	"math"

	"github.com/shirou/gopsutil/v4/disk"
)

// What larder leaves free of a file system, where it stores what nobody has asked for
// yet: a part of it, but not more than a limit.
const (
	freePart = 20
	maxFree  = 1 << 30 // in bytes
)

// Room returns how many bytes may be stored in d that nobody has asked for yet. They
// leave free a twentieth of the file system, but at most 1 GiB, and a twentieth of its
// inodes. Together with the files of d they stay within maxSize, unless that is 0: then
// Room looks at every file. Room may be negative. What can't be found out is no limit.
func (d *Dir) Room(maxSize int64) int64 {
	room := int64(math.MaxInt64)
	if usage, err := disk.Usage(d.root); err == nil {
		room = roomOn(usage)
	}
	if maxSize == 0 {
		return room
	}
	left := maxSize
	_ = d.walk(func(f file) error { // what can't be seen doesn't count
		left -= f.size
		return nil
	})
	return min(room, left)
}

// roomOn returns the room on a file system. One that does not say how large it is has no
// limit. Some, such as those before an object store, say that they are as large as a
// number can be.
func roomOn(u *disk.UsageStat) int64 {
	switch {
	case u.InodesTotal > 0 && u.InodesFree <= (u.InodesTotal-1)/freePart:
		return 0
	case u.Total == 0:
		return math.MaxInt64
	}
	return int64(min(u.Free, math.MaxInt64)) - min(int64(u.Total/freePart), maxFree)
}
