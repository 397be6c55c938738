package pack

import (
	"errors"
	"regexp"
)

var scopeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

const maxScope = 100 // bytes

// CheckScope reports why name can't be that of a scope. Scopes are parts of keys,
// and of the patterns by which a store lets some write and others not.
func CheckScope(name string) error {
	if len(name) > maxScope || !scopeName.MatchString(name) {
		return errors.New("want 1 to 100 of A-Z, a-z, 0-9, dot, dash and underscore, the first a letter or a digit")
	}
	return nil
}
