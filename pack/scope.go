package pack

import (
	"errors"
	"regexp"
)

var scopeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

const maxScope = 100 // bytes

// CheckScope returns an error that says what is allowed if name can't be the name of a
// scope. Names are restricted because they are parts of keys in the store, and of the
// patterns in the store's access policies.
func CheckScope(name string) error {
	if len(name) > maxScope || !scopeName.MatchString(name) {
		return errors.New("want 1 to 100 of A-Z, a-z, 0-9, dot, dash and underscore, the first a letter or a digit")
	}
	return nil
}
