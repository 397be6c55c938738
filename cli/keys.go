package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/larderbuild/larder/secrets"
	"github.com/larderbuild/larder/sign"
)

// resolve completes s with what takes a look at files: the scopes and the keys.
func (s *settings) resolve(environ []string) error {
	if s.scope == "" {
		s.scope = here().scope()
	}
	if len(s.readScopes) == 0 {
		s.readScopes = []string{s.scope}
		if s.scope != mainScope {
			s.readScopes = append(s.readScopes, mainScope)
		}
	}
	s.policy.Secrets = secrets.New(environ)
	return s.resolveKeys()
}

func (s *settings) resolveKeys() (err error) {
	if s.signKey != "" {
		text, err := keyText(s.signKey)
		if err == nil {
			s.policy.Key, err = sign.ParseKey(text)
		}
		if err != nil {
			return fmt.Errorf("LARDER_SIGN_KEY (or --sign-key): %w", err)
		}
		s.policy.Trust = sign.Only(s.policy.Key)
	}
	if s.trust == "" {
		return nil
	}
	var keys []string
	for _, item := range splitList(s.trust) {
		text, err := keyText(item)
		if err == nil {
			_, err = sign.ParseTrust(text)
		}
		if err != nil {
			return fmt.Errorf("LARDER_TRUST (or --trust): %w", err)
		}
		keys = append(keys, text)
	}
	if s.policy.Trust, err = sign.ParseTrust(strings.Join(keys, "\n")); err != nil {
		return fmt.Errorf("LARDER_TRUST (or --trust): %w", err)
	}
	if key := s.policy.Key; key != nil && !s.policy.Trust.Has(key.ID()) {
		return errors.New("LARDER_TRUST (or --trust) lacks the key that belongs to LARDER_SIGN_KEY: what is written here could not be read here")
	}
	return nil
}

// keyText returns a key, or what stands in the file that is named in its place.
func keyText(value string) (string, error) {
	if sign.IsKey(value) {
		return value, nil
	}
	const limit = 64 << 10
	info, err := os.Stat(value)
	switch {
	case !filepath.IsAbs(value), errors.Is(err, os.ErrNotExist): // whoever uploads in the background does it elsewhere
		return "", errors.New("it is neither a key, as larder keygen writes them, nor the absolute path of a file")
	case err != nil:
		return "", err
	case !info.Mode().IsRegular() || info.Size() > limit:
		return "", fmt.Errorf("%s is no file of keys", value)
	}
	text, err := os.ReadFile(value)
	return string(text), err
}

// writes reports whether anything may be written to the remote. Who believes only
// signed entries and can't sign would write what nobody like him reads.
func (s settings) writes() bool {
	return !s.readOnly && (s.policy.Trust == nil || s.policy.Key != nil)
}
