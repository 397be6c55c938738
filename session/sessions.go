package session

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// eachDead calls visit with every session below local whose process is gone, the
// oldest first. visit gives the session up.
func eachDead(local string, visit func(*Session) error) error {
	dirs, err := List(local)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		s, err := Take(dir)
		if err != nil {
			return err
		}
		if s == nil {
			continue
		}
		if err := visit(s); err != nil {
			return err
		}
	}
	return nil
}

// LiveSince returns the start of the oldest session under way below local, or the
// zero time if there is none. Nothing that was used after it may be removed.
// LiveSince removes older sessions of dead processes that left nothing to do.
func LiveSince(local string) (time.Time, error) {
	dirs, err := List(local)
	if err != nil {
		return time.Time{}, err
	}
	for _, dir := range dirs {
		s, err := Take(dir)
		if err != nil {
			return time.Time{}, err
		}
		if s == nil {
			begun, _ := startOf(dir)
			return begun, nil
		}
		s.Close()
	}
	return time.Time{}, nil
}

// Sweep removes what processes that are gone have left below local and nobody
// needs. What it can't remove it leaves for a later session.
func Sweep(local string) {
	dirs, _ := List(local)
	for _, dir := range dirs {
		if s, _ := Take(dir); s != nil {
			s.Close()
		}
	}
}

// Uploads returns how many uploads the journals below local hold, those of live
// sessions included.
func Uploads(local string) (uploads int, err error) {
	dirs, err := List(local)
	if err != nil {
		return 0, err
	}
	for _, dir := range dirs {
		todo, err := readJournal(journalPath(dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		uploads += len(todo.Uploads)
	}
	return uploads, nil
}

// Abandoned reports whether sessions that are gone have left something to do below
// local for target's remote and scope, under any profile.
func Abandoned(local string, target Target) (bool, error) {
	abandoned := false
	err := eachDead(local, func(s *Session) error {
		todo, err := readJournal(journalPath(s.dir))
		s.Close()
		if err == nil && todo.Target.SameScope(target) && (todo.Writes() || todo.Bring) {
			abandoned = true
		}
		return nil
	})
	return abandoned, err
}

// Forget gives up what sessions that are gone have left to do below local.
func Forget(local string) error {
	return eachDead(local, func(s *Session) error {
		err := os.Remove(journalPath(s.dir))
		s.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}
