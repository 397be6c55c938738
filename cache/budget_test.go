package cache

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudget(t *testing.T) {
	const limit = 10 * time.Second
	type step func(b *budget)
	wait := func(d time.Duration, saved time.Duration) step {
		return func(b *budget) { b.begin(); time.Sleep(d); b.end(saved) }
	}
	idle := func(d time.Duration) step { return func(*budget) { time.Sleep(d) } }
	for name, test := range map[string]struct {
		steps []step
		spent bool
	}{
		"nothing waits":             {[]step{idle(time.Hour)}, false},
		"misses within it":          {[]step{wait(9*time.Second, 0), idle(time.Hour)}, false},
		"misses add up":             {[]step{wait(5*time.Second, 0), idle(time.Hour), wait(5*time.Second, 0)}, true},
		"hits that are worth it":    {[]step{wait(6*time.Second, 6*time.Second), wait(6*time.Second, 6*time.Second)}, false},
		"hits that are not":         {[]step{wait(6*time.Second, time.Second), wait(6*time.Second, time.Second)}, true},
		"savings are no credit":     {[]step{wait(time.Second, time.Hour), wait(10*time.Second, 0)}, true},
		"together counts once":      {[]step{func(b *budget) { b.begin(); b.begin() }, idle(9 * time.Second), func(b *budget) { b.end(0); b.end(0) }}, false},
		"together saves once":       {[]step{func(b *budget) { b.begin(); b.begin() }, idle(9 * time.Second), func(b *budget) { b.end(6 * time.Second); b.end(0) }, wait(5*time.Second, 0)}, true},
		"one that never ends":       {[]step{func(b *budget) { b.begin() }, idle(limit)}, true},
		"one after another, no gap": {[]step{func(b *budget) { b.begin() }, idle(6 * time.Second), func(b *budget) { b.begin(); b.end(0) }, idle(4 * time.Second)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBudget(t.Context(), limit)
				defer b.cancel(nil)
				for _, s := range test.steps {
					s(b)
				}
				synctest.Wait()
				if b.spent() != test.spent {
					t.Errorf("spent = %v after losing %v", b.spent(), b.lost)
				}
				if test.spent && !errors.Is(context.Cause(b.ctx), errBudget) {
					t.Errorf("cause %v", context.Cause(b.ctx))
				}
			})
		})
	}
}

// A budget of nothing is spent from the start: nothing is asked, nothing said.
func TestNoBudget(t *testing.T) {
	for range 100 {
		b := newBudget(t.Context(), 0)
		if !b.spent() {
			t.Error("not spent")
		}
		b.cancel(nil)
	}
}
