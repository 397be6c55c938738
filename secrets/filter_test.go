package secrets

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestValues(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file of keys")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	secret := fake(letters, 20)
	lines := secret + "\r\n" + secret + "\r\n" + secret

	type value struct{ rule, text string }
	for name, test := range map[string]struct {
		environ []string
		want    []value
	}{
		"nothing":            {nil, nil},
		"TOKEN":              {[]string{"A_TOKEN=" + secret}, []value{{"value of A_TOKEN", secret}}},
		"SECRET":             {[]string{"SECRET_B=" + secret}, []value{{"value of SECRET_B", secret}}},
		"PASSWORD":           {[]string{"PASSWORD=" + secret}, []value{{"value of PASSWORD", secret}}},
		"KEY":                {[]string{"APIKEY2=" + secret}, []value{{"value of APIKEY2", secret}}},
		"CREDENTIAL":         {[]string{"D_CREDENTIALS=" + secret}, []value{{"value of D_CREDENTIALS", secret}}},
		"any case":           {[]string{"npm_config_authToken=" + secret}, []value{{"value of npm_config_authToken", secret}}},
		"a harmless name":    {[]string{"GITHUB_REPOSITORY=" + secret, "PASSPHRASE=" + secret}, nil},
		"a name in a value":  {[]string{"HINT=GITHUB_TOKEN=" + secret}, nil},
		"an = in a value":    {[]string{"KEY=" + secret + "="}, []value{{"value of KEY", secret + "="}}},
		"a folder's drive":   {[]string{`=C:=C:\KEY`}, nil},
		"no =":               {[]string{"KEY"}, nil},
		"8 bytes":            {[]string{"KEY=" + secret[:8]}, []value{{"value of KEY", secret[:8]}}},
		"7 bytes":            {[]string{"KEY=" + secret[:7]}, nil},
		"7 bytes and spaces": {[]string{"KEY= \t" + secret[:7] + "\n\n"}, nil},
		"white space":        {[]string{"KEY=\n  " + secret + " \r\n"}, []value{{"value of KEY", secret}}},
		"a file":             {[]string{"CREDENTIALS=" + file}, nil},
		"a folder":           {[]string{"KEYS=" + filepath.Dir(file)}, nil},
		"a path to nothing":  {[]string{"KEY=" + file + "2"}, []value{{"value of KEY", file + "2"}}},
		"a relative path":    {[]string{"KEY=filter_test.go"}, []value{{"value of KEY", "filter_test.go"}}},
		"headers": {
			[]string{"OTLP_HEADERS=api-key=" + secret + ", x=y,z=%2C" + secret[1:]},
			[]value{{"value of OTLP_HEADERS", secret}, {"value of OTLP_HEADERS", "%2C" + secret[1:]}, {"value of OTLP_HEADERS", "," + secret[1:]}},
		},
		"a password in a URL": {
			[]string{"REMOTE=redis://user:" + secret + "%40@host:6379/0", "U=https://user:" + secret[:10] + "@host", "V=https://host:" + secret, "W=a://" + secret + "/:" + secret + "@x"},
			[]value{{"value of REMOTE", secret + "%40"}, {"value of REMOTE", secret + "@"}, {"value of U", secret[:10]}},
		},
		"the same twice": {
			[]string{"A_KEY=" + secret, "B_KEY=" + secret + "\n"},
			[]value{{"value of A_KEY", secret}},
		},
		"two": {
			[]string{"A_KEY=" + secret, "B_KEY=" + secret[1:]},
			[]value{{"value of A_KEY", secret}, {"value of B_KEY", secret[1:]}},
		},
		"lines": {
			[]string{"KEY=" + lines},
			[]value{{"value of KEY", lines}, {"value of KEY", strings.ReplaceAll(lines, "\r", "")}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []value
			for _, v := range New(test.environ).values {
				got = append(got, value{v.rule, string(v.text)})
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%d values, not the %d expected ones", len(got), len(test.want))
			}
		})
	}
}

// TestPathThatBlocks: a file system that does not answer is not waited for.
func TestPathThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		stat := func(string) (fs.FileInfo, error) {
			<-answer
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for range 3 {
			if isPath(ctx, t.TempDir(), stat) {
				t.Error("a path that nobody has seen")
			}
		}
		close(answer)
		if !isPath(t.Context(), t.TempDir(), stat) {
			t.Error("a path that is there is none")
		}
	})
}
