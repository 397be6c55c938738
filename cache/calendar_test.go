package cache

import (
	"slices"
	"testing"

	"github.com/larderbuild/larder/pack"
)

// TestCalendar publishes by several clocks, in turns. It shows after how many publications
// what was used before the first of them has expired.
func TestCalendar(t *testing.T) {
	const start = 20_000
	every := func(step, n int) (clocks []pack.Day) {
		for i := range n {
			clocks = append(clocks, pack.Day(start+(i+1)*step))
		}
		return clocks
	}
	// with has a machine publish, before and after each of clocks, whose clock is ahead.
	with := func(clocks []pack.Day, ahead int) (all []pack.Day) {
		for _, day := range clocks {
			wrong := pack.Day(int(day) + ahead)
			all = append(all, wrong, day, wrong)
		}
		return all
	}
	for name, test := range map[string]struct {
		clocks []pack.Day
		want   int // 0: it does not expire
	}{
		"every day":                       {every(1, 20), 8},
		"every third day":                 {every(3, 20), 3},
		"every month":                     {every(30, 20), 6},
		"many times a day":                {slices.Repeat(every(1, 1), 100), 0},
		"a day, a holiday, every day":     {append([]pack.Day{start + 1}, every(1, 40)[20:]...), 9},
		"once a week ahead":               {append([]pack.Day{start + 8}, every(1, 7)...), 0},
		"once a week ahead, every day":    {append([]pack.Day{start + 8}, every(1, 8)...), 9},
		"once years ahead, every day":     {append([]pack.Day{90_000}, every(1, 8)...), 9},
		"twice years ahead, then nothing": {append([]pack.Day{90_000, 95_000}, every(1, 4)...), 0},
		"twice years ahead, every day":    {append([]pack.Day{90_000, 95_000}, every(1, 20)...), 8},
		"once at the epoch, every day":    {append([]pack.Day{0}, every(1, 8)...), 9},
		"always a week ahead":             {with(every(1, 7), 8), 0},
		"always years ahead":              {with(every(1, 7), 40_000), 0},
		"always a week behind":            {with(every(1, 7), -8), 0},
		"always a day ahead":              {with(every(1, 6), 1), 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := &pack.Manifest{Today: start, Clock: start}
			got := 0
			for i, now := range test.clocks {
				c := newCalendar(m, now)
				m = &pack.Manifest{Today: c.today, Clock: c.clock, Far: c.far}
				if got == 0 && c.expired(start) {
					got = i + 1
				}
			}
			if got != test.want {
				t.Errorf("expired after %d publications, want %d", got, test.want)
			}
		})
	}
}
