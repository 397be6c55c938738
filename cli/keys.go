package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/larderbuild/larder/sign"
)

// readKeys returns the key that signs and the keys that are trusted, each nil
// where it is not set. signKey is a key or the path of its file, and trusted a
// list of both. Without trusted, the key that signs is the only one trusted.
func readKeys(signKey, trusted string) (key *sign.Key, trust *sign.Trust, err error) {
	if signKey != "" {
		text, err := keyText(signKey)
		if err == nil {
			key, err = sign.ParseKey(text)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("LARDER_SIGN_KEY (or --sign-key): %w", err)
		}
		trust = sign.Only(key)
	}
	if trusted == "" {
		return key, trust, nil
	}
	if trust, err = readTrust(trusted); err != nil {
		return nil, nil, fmt.Errorf("LARDER_TRUST (or --trust): %w", err)
	}
	if key != nil && !trust.Has(key.ID()) {
		return nil, nil, errors.New("LARDER_TRUST (or --trust) lacks the key that belongs to LARDER_SIGN_KEY: what is written here could not be read here")
	}
	return key, trust, nil
}

func readTrust(list string) (*sign.Trust, error) {
	var keys []string
	for _, item := range splitList(list) {
		text, err := keyText(item)
		if err == nil {
			_, err = sign.ParseTrust(text) // each file has to hold a key
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, text)
	}
	return sign.ParseTrust(strings.Join(keys, "\n"))
}

// maxKeyFile is the size in bytes of the largest file of keys that is read.
const maxKeyFile = 64 << 10

// keyText returns value where it is a key, and otherwise the contents of the file
// that it names. It takes no relative path, since the process in the background
// works in another folder. Its errors repeat value only where it names a file:
// otherwise it may be a mistyped key.
func keyText(value string) (string, error) {
	if sign.IsKey(value) {
		return value, nil
	}
	if !filepath.IsAbs(value) {
		return "", errNoKey
	}
	text, err := patiently(value, func() (string, error) { return readKeyFile(value) })
	var failed *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", errNoKey
	case errors.As(err, &failed):
		return "", failed.Err
	}
	return text, err
}

var errNoKey = errors.New("it is neither a key, as larder keygen writes them, nor the absolute path of a file")

func readKeyFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return "", fmt.Errorf("%s is no file of keys", path)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}
