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
		room = int64(usage.Free) - min(int64(usage.Total/freePart), maxFree)
		if usage.InodesFree*freePart < usage.InodesTotal {
			room = 0
		}
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
