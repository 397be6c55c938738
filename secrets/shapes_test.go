package secrets

import (
	"math/rand/v2"
	"regexp/syntax"
	"strings"
	"testing"
)

const (
	capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	letters  = capitals + "abcdefghijklmnopqrstuvwxyz"
	digits   = "0123456789"
	word     = letters + digits
)

// fake returns n bytes out of alphabet, the same ones in each run. Tests make their
// secrets with it, so that no scanner of source code takes them for leaked ones.
func fake(alphabet string, n int) string {
	var b strings.Builder
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for range n {
		b.WriteByte(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// samples returns one or more secrets of each shape, by rule.
func samples() map[string][]string {
	pem := func(kind string) string { return "-----BEGIN " + kind + "-----" }
	return map[string][]string{
		"private key": {
			pem("PRIVATE KEY"), pem("RSA PRIVATE KEY"), pem("EC PRIVATE KEY"), pem("DSA PRIVATE KEY"),
			pem("OPENSSH PRIVATE KEY"), pem("ENCRYPTED PRIVATE KEY"), pem("PGP PRIVATE KEY BLOCK"),
		},
		"AWS access key":    {"AKIA" + fake(capitals+digits, 16), "ASIA" + fake(capitals+digits, 16)},
		"Azure storage key": {"AccountKey=" + fake(word+"+/", 86) + "=="},
		"Azure SAS token": {
			"?sv=2021-12-02&sp=r&sig=" + fake(word, 43) + "%3D", "?sig=%2b%2F" + fake(word, 41) + "%3d&se=2027-01-01",
		},
		"GitHub token": {
			"ghp_" + fake(word, 36), "gho_" + fake(word, 36), "ghu_" + fake(word, 36), "ghs_" + fake(word, 36),
			"ghr_" + fake(word, 76), "ghs_" + "1234_eyJ" + fake(word, 17) + ".eyJ" + fake(word, 200) + "." + fake(word, 300),
			"github_pat_" + fake(word, 22) + "_" + fake(word, 59),
		},
		"GitLab token": {
			"glpat-" + fake(word+"-_", 20), "glpat-" + fake(word, 27) + ".0w" + fake(word, 7), "gldt-" + fake(word, 20),
			"glrt-" + "t1_" + fake(word, 20), "glcbt-" + "64_" + fake(word, 20), "glptt-" + fake(digits+"abcdef", 40),
		},
		"Google API key":             {"AIza" + fake(word+"-_", 35)},
		"Google OAuth client secret": {"GOCSPX-" + fake(word+"-_", 28)},
		"Slack token": {
			"xoxb-" + fake(digits, 12) + "-" + fake(digits, 13) + "-" + fake(word, 24), "xoxb-" + fake(digits, 12) + "-" + fake(word, 24),
			"xoxp-" + fake(digits, 12) + "-" + fake(digits, 13) + "-" + fake(digits, 11) + "-" + fake(word, 32),
			"xoxa-2-" + fake(digits, 9) + "-" + fake(word, 18), "xoxr-" + fake(digits, 10) + "-" + fake(word, 18),
			"xoxs-" + fake(digits, 10) + "-" + fake(digits, 10) + "-" + fake(word, 10),
		},
		"npm token":  {"npm_" + fake(word, 36)},
		"larder key": {"ed25519-secret:" + fake(word+"+/", 43) + "=", "hmac:" + fake(word+"+/", 43) + "=", "hmac:" + fake(word+"+/", 86) + "=="},
	}
}

// TestShapes checks that each sample is found, alone and surrounded by other bytes, but
// not in a body that is compiled.
func TestShapes(t *testing.T) {
	all := samples()
	for _, s := range shapes() {
		t.Run(s.rule, func(t *testing.T) {
			if len(all[s.rule]) == 0 {
				t.Error("there is no sample of it")
			}
			for i, sample := range all[s.rule] {
				for where, body := range map[string]string{
					"alone":     sample,
					"in a line": "--- FAIL: key=" + sample + ", want another\n",
					"in quotes": `{"key":"` + sample + `"}`,
					"in noise":  "\xff\xfe\x00" + sample + "\x00\x80",
				} {
					if got := scan(New(nil), body); got != s.rule {
						t.Errorf("sample %d %s: found %q", i, where, got)
					}
				}
				for _, begin := range []string{"!<arch>\n", "go index v2\n", "\x7fELF\x02", "MZ\x90"} {
					if got := scan(New(nil), begin+sample); got != "" {
						t.Errorf("sample %d behind %q: found %q", i, begin, got)
					}
				}
			}
		})
		delete(all, s.rule)
	}
	for rule := range all {
		t.Errorf("there is no shape for the samples of %q", rule)
	}
}

// TestNoShape has bodies that resemble shapes, and in which nothing must be found.
func TestNoShape(t *testing.T) {
	aws := "AKIA" + fake(capitals+digits, 16)
	for name, body := range map[string]string{
		"nothing":                       "",
		"a key in prose":                "The PRIVATE KEY stands between BEGIN PRIVATE KEY and END PRIVATE KEY.",
		"a key, fewer dashes":           "----BEGIN PRIVATE KEY----",
		"a public key":                  "-----BEGIN PUBLIC KEY-----\n" + fake(word, 64),
		"a certificate":                 "-----BEGIN CERTIFICATE-----\n" + fake(word, 64),
		"a key's end":                   "-----END PRIVATE KEY-----",
		"a key of no kind":              "-----BEGIN %s PRIVATE KEY-----",
		"AWS: in a word":                "x" + aws,
		"AWS: a word's beginning":       aws + "x",
		"AWS: after an underline":       "_" + aws,
		"AWS: before an underline":      aws + "_",
		"AWS: one more":                 aws + "A",
		"AWS: one less":                 aws[:19],
		"AWS: small letters":            strings.ToLower(aws),
		"GitHub: one less":              "ghp_" + fake(word, 35),
		"GitHub: another kind":          "ghx_" + fake(word, 36),
		"GitHub: a name":                "ghp_" + strings.Repeat("a_name_", 8),
		"GitHub: a short second part":   "github_pat_" + fake(word, 22) + "_" + fake(word, 58),
		"GitLab: one less":              "glpat-" + fake(word, 19),
		"GitLab: another kind":          "glass-" + fake(word, 20),
		"Google: one less":              "AIza" + fake(word, 34),
		"Google: client, one less":      "GOCSPX-" + fake(word, 27),
		"Slack: a placeholder":          "xoxb-your-token-here",
		"Slack: one less":               "xoxb-" + fake(digits, 9),
		"npm: one less":                 "npm_" + fake(word, 35),
		"npm: a setting":                "npm_config_" + fake(word, 12) + "_" + fake(word, 12),
		"larder: a public key":          "ed25519:" + fake(word, 43) + "=",
		"larder: one less":              "hmac:" + fake(word, 42),
		"anchors, and nothing to them":  strings.Repeat("AKIA AIza npm_ hmac: ghp_ -----BEGIN ", 5000),
		"anchors without end":           strings.Repeat("AKIA", 20000),
		"an archive with PEM constants": "!<arch>\n-----BEGIN RSA PRIVATE KEY-----",
	} {
		t.Run(name, func(t *testing.T) {
			if got := scan(New(nil), body); got != "" {
				t.Errorf("found %q", got)
			}
		})
	}
}

// TestMaxShape computes the length of the longest match of each pattern: it must not be
// greater than maxShape.
func TestMaxShape(t *testing.T) {
	for _, s := range shapes() {
		re, err := syntax.Parse(s.pattern.String(), syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		if n := longest(t, re); n > maxShape {
			t.Errorf("%s: a match may have %d bytes, want %d at most", s.rule, n, maxShape)
		}
	}
}

// longest returns the length in bytes of the longest match of re. It takes each character
// of a class for one byte.
func longest(t *testing.T, re *syntax.Regexp) (n int) {
	switch re.Op {
	case syntax.OpLiteral:
		return len(string(re.Rune))
	case syntax.OpCharClass:
		return 1
	case syntax.OpEmptyMatch:
		return 0
	case syntax.OpCapture, syntax.OpQuest:
		return longest(t, re.Sub[0])
	case syntax.OpRepeat:
		if re.Max < 0 {
			t.Errorf("%s has no end", re)
		}
		return re.Max * longest(t, re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			n += longest(t, sub)
		}
		return n
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			n = max(n, longest(t, sub))
		}
		return n
	}
	t.Errorf("%s is no part of a pattern", re)
	return 0
}
