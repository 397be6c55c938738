package cli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/larderbuild/larder/cache"
	"github.com/larderbuild/larder/sign"
)

// Each function here checks or parses the value of an option. Their errors say what
// is allowed.

func oneOf(v string, allowed ...string) error {
	if slices.Contains(allowed, v) {
		return nil
	}
	return fmt.Errorf("want one of %s", strings.Join(allowed, ", "))
}

func parseBool(b *bool, v string) error {
	parsed, err := strconv.ParseBool(v)
	if err != nil {
		return errors.New("want true or false")
	}
	*b = parsed
	return nil
}

func parseDuration(d *time.Duration, v string) error {
	parsed, err := time.ParseDuration(v)
	if err != nil || parsed < 0 {
		return errors.New("want a duration such as 90s, 10m or 1h30m")
	}
	*d = parsed
	return nil
}

// parseLimit sets d to a duration, which must not be 0: then nothing would ever be in time.
func parseLimit(d *time.Duration, v string) error {
	if err := parseDuration(d, v); err != nil || *d > 0 {
		return err
	}
	return errors.New("want a duration of more than 0, such as 10s")
}

// parseSize sets n to a number of bytes.
func parseSize(n *int64, v string) error {
	parsed, err := humanize.ParseBytes(v)
	if err != nil || parsed > math.MaxInt64 {
		return errors.New("want a size such as 500MB or 2GiB")
	}
	*n = int64(parsed)
	return nil
}

func parseScopes(scopes *[]string, list string) error {
	parsed := splitList(list)
	for _, scope := range parsed {
		if err := cache.CheckScope(scope); err != nil {
			return fmt.Errorf("%q: %w", scope, err)
		}
	}
	if len(parsed) == 0 {
		return errors.New("want at least one scope")
	}
	*scopes = parsed
	return nil
}

// checkTrust checks the keys in a list of keys and of paths of their files.
func checkTrust(list string) error {
	for _, item := range splitList(list) {
		if !sign.IsKey(item) {
			continue
		}
		if _, err := sign.ParseTrust(item); err != nil {
			return err
		}
	}
	return nil
}

// splitList returns the items of a list, which are separated by commas or line
// breaks. It leaves out empty ones, and the spaces around the others.
func splitList(list string) (items []string) {
	for item := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == '\n' }) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
