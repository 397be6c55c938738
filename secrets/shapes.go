package secrets

import (
	"bytes"
	"regexp"
)

// maxShape is the length in bytes of the longest match that a shape's pattern can
// have.
const maxShape = 128

// A shape is a kind of secret that is recognized by its form.
type shape struct {
	rule string // the name of the shape

	// anchors has the words that lead to a match: each match begins with one of
	// them, or has one behind its first byte.
	anchors []string

	// pattern has no assertions, so a match in a part of a body is a match in the
	// whole body. It matches only the beginning of a secret that may be longer.
	pattern *regexp.Regexp
}

// shapes returns all shapes. It is a function and not a variable, so that only commands
// that need the patterns wait until they are compiled.
func shapes() []shape {
	return []shape{
		{
			"private key",
			[]string{"-----BEGIN "},
			regexp.MustCompile(`-----BEGIN [0-9A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----`),
		}, {
			"AWS access key",
			[]string{"AKIA", "ASIA"},
			regexp.MustCompile(`[^0-9A-Za-z_]A[KS]IA[0-9A-Z]{16}[^0-9A-Za-z_]`),
		}, {
			"Azure storage key", // in a connection string
			[]string{"AccountKey="},
			regexp.MustCompile(`AccountKey=[0-9A-Za-z+/]{86}==`),
		}, {
			"Azure SAS token",
			[]string{"sig="},
			regexp.MustCompile(`[?&]sig=(?:[0-9A-Za-z]|%2[BFbf]){30}`),
		}, {
			"GitHub token",
			[]string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"},
			// Since 2026, what follows ghs_ may be an app's ID and a JWT.
			regexp.MustCompile(`gh[pour]_[0-9A-Za-z]{36}|ghs_[0-9A-Za-z._-]{36}|github_pat_[0-9A-Za-z]{22}_[0-9A-Za-z]{59}`),
		}, {
			"GitLab token",
			[]string{"glpat-", "gldt-", "glrt-", "glcbt-", "glptt-"},
			regexp.MustCompile(`gl(?:pat|dt|rt|cbt|ptt)-[0-9A-Za-z_-]{20}`),
		}, {
			"Google API key",
			[]string{"AIza"},
			regexp.MustCompile(`AIza[0-9A-Za-z_-]{35}`),
		}, {
			"Google OAuth client secret",
			[]string{"GOCSPX-"},
			regexp.MustCompile(`GOCSPX-[0-9A-Za-z_-]{28}`),
		}, {
			"Slack token",
			[]string{"xox"},
			regexp.MustCompile(`xox[abprs]-[0-9][0-9A-Za-z-]{9}`),
		}, {
			"npm token",
			[]string{"npm_"},
			regexp.MustCompile(`npm_[0-9A-Za-z]{36}`),
		}, {
			"larder key", // as package sign writes them
			[]string{"ed25519-secret:", "hmac:"},
			regexp.MustCompile(`(?:ed25519-secret|hmac):[0-9A-Za-z+/]{43}`),
		},
	}
}

// matches reports whether body, or a part of one, has a secret of this shape.
func (s *shape) matches(body []byte) bool {
	for _, anchor := range s.anchors {
		for i := 0; ; i++ {
			next := bytes.Index(body[i:], []byte(anchor))
			if next < 0 {
				break
			}
			i += next
			if s.pattern.Match(body[max(i-1, 0):min(i+maxShape, len(body))]) {
				return true
			}
		}
	}
	return false
}
