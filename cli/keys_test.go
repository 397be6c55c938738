package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderbuild/larder/sign"
)

// newKey returns a new key, and the texts of its halves.
func newKey(t *testing.T) (key *sign.Key, private, public string) {
	t.Helper()
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	public, ok := key.Public()
	if !ok {
		t.Fatal("the key has no public half")
	}
	return key, key.Text(), public
}

func TestReadKeys(t *testing.T) {
	t.Parallel()
	key, private, public := newKey(t)
	other, _, otherPublic := newKey(t)
	shared, err := sign.GenerateHMAC()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, text)
		return path
	}
	privateFile, publicFile := file("key", private+"\n"), file("key.pub", public+"\n")
	several := file("several", "# the team's\n"+public+"\n\n"+otherPublic+"\n")
	empty, large := file("empty", "# nobody\n"), file("large", strings.Repeat("#\n", maxKeyFile))
	const neither = "it is neither a key, as larder keygen writes them, nor the absolute path of a file"
	lost := filepath.Join(dir, "missing")
	// What is no key may be one all the same, without the word before it.
	const mistyped = "/c2VjcmV0"
	long := mistyped + strings.Repeat("x", 1000)
	for _, test := range []struct {
		name            string
		signKey, trust  string
		signs           *sign.Key
		trusts, refuses []*sign.Key
		want            string // in the error; "": none
	}{
		{name: "none"},
		{name: "a key that signs is trusted, alone", signKey: private, signs: key, trusts: []*sign.Key{key}, refuses: []*sign.Key{other, shared}},
		{name: "in a file", signKey: privateFile, signs: key, trusts: []*sign.Key{key}, refuses: []*sign.Key{other}},
		{name: "a shared key", signKey: shared.Text(), signs: shared, trusts: []*sign.Key{shared}, refuses: []*sign.Key{key}},
		{name: "trust", trust: public, trusts: []*sign.Key{key}, refuses: []*sign.Key{other, shared}},
		{name: "trust in a file", trust: publicFile, trusts: []*sign.Key{key}, refuses: []*sign.Key{other}},
		{name: "trust in a list", trust: publicFile + ", " + otherPublic + "\n" + shared.Text(), trusts: []*sign.Key{key, other, shared}},
		{name: "trust in a file of several", trust: several, trusts: []*sign.Key{key, other}, refuses: []*sign.Key{shared}},
		{name: "trust besides", signKey: privateFile, trust: several, signs: key, trusts: []*sign.Key{key, other}},
		{name: "trust in others alone", signKey: private, trust: otherPublic, want: "LARDER_TRUST (or --trust) lacks the key that belongs to LARDER_SIGN_KEY"},
		{name: "trust in nobody", trust: ",", want: "LARDER_TRUST (or --trust): no key in it"},
		{name: "a missing file", signKey: lost, want: "LARDER_SIGN_KEY (or --sign-key): " + neither},
		{name: "a missing file to trust", trust: public + "," + lost, want: "LARDER_TRUST (or --trust): " + neither},
		{name: "a relative path", signKey: "keys_test.go", want: "LARDER_SIGN_KEY (or --sign-key): " + neither},
		{name: "a relative path to trust", trust: "keys_test.go", want: "LARDER_TRUST (or --trust): " + neither},
		{name: "a folder", signKey: dir, want: dir + " is no file of keys"},
		{name: "a folder to trust", trust: dir, want: dir + " is no file of keys"},
		{name: "a file that is too large", trust: large, want: large + " is no file of keys"},
		{name: "a file without a key", trust: empty, want: "LARDER_TRUST (or --trust): no key in it"},
		{name: "a list with a file without a key", trust: public + "," + empty, want: "LARDER_TRUST (or --trust): no key in it"},
		{name: "a public key that signs", signKey: publicFile, want: "LARDER_SIGN_KEY (or --sign-key): a public key can't sign"},
		{name: "trust in a secret key", trust: privateFile, want: "LARDER_TRUST (or --trust): a secret key has no place"},
		{name: "a mistyped key", signKey: mistyped, want: neither},
		{name: "a long mistyped key", signKey: long, want: "LARDER_SIGN_KEY (or --sign-key): "},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, trust, err := readKeys(test.signKey, test.trust)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) || key != nil || trust != nil {
					t.Errorf("%v, %v, %v, want %q", key, trust, err, test.want)
				} else if strings.Contains(err.Error(), mistyped) || strings.Contains(err.Error(), private) {
					t.Errorf("the secret is in %q", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if (key != nil) != (test.signs != nil) || key != nil && key.ID() != test.signs.ID() {
				t.Errorf("signs with %v, want %v", key, test.signs)
			}
			if (trust != nil) != (len(test.trusts) > 0) {
				t.Fatalf("trust is %v", trust)
			}
			for _, k := range test.trusts {
				if !trust.Has(k.ID()) {
					t.Errorf("does not trust %v", k.ID())
				}
			}
			for _, k := range test.refuses {
				if trust.Has(k.ID()) {
					t.Errorf("trusts %v", k.ID())
				}
			}
		})
	}
}

func TestCreateFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if err := createFile(path, "first", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := createFile(path, "second", 0o600); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("error %v", err)
	}
	if text, err := os.ReadFile(path); string(text) != "first\n" {
		t.Errorf("%q, %v", text, err)
	}
}
