package cli

import (
	"crypto/fips140"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// What is set for a build reaches its helper, too. This file keeps the one from the
// other: settings of Go's runtime, stdin and stdout, the working directory, and
// credentials.

// environment is a list of name=value, as os.Environ returns it.
type environment []string

// get returns the value of a variable, or "" where it is not set.
func (e environment) get(name string) string {
	for _, pair := range e {
		n, value, _ := strings.Cut(pair, "=")
		if n == name || runtime.GOOS == "windows" && strings.EqualFold(n, name) {
			return value
		}
	}
	return ""
}

// has reports whether one of the variables called prefix and one of names is set.
func (e environment) has(prefix string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return e.get(prefix+name) != "" })
}

// immune calls run as if neither GODEBUG=fips140=only nor GOGC and GOMEMLIMIT were set.
// The first would forbid MD5, which stores want; the others are sizes for the programs
// that a build tests. Goroutines that run starts are immune as well. The environment
// stays as it is, for a go command that larder starts.
func immune(run func()) {
	debug.SetGCPercent(100)
	debug.SetMemoryLimit(math.MaxInt64)
	fips140.WithoutEnforcement(run)
}

// giveUpStdio puts the null device in the place of os.Stdin and os.Stdout, through which
// the go command speaks with its helper: a library gives the first one to programs that
// it starts for credentials, and may print to the other one. Where there is no null
// device, such a program does not start.
func giveUpStdio() {
	null, _ := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	os.Stdin, os.Stdout = null, null
}

// backgroundFolder returns the folder for a process in the background: root, so that the
// process keeps no other folder from being removed or unmounted. There is an exception:
// where the environment names credentials by a relative path, that means something only
// in this process's folder, and so do paths inside the file. Then it returns "", which
// stands for this process's folder.
func backgroundFolder(environ environment, root string) string {
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !namesCredentials(name) {
			continue
		}
		for _, path := range filepath.SplitList(value) {
			if _, err := os.Stat(path); err == nil && !filepath.IsAbs(path) {
				return ""
			}
		}
	}
	return root
}

// namesCredentials reports whether a variable may hold the path of a file from which a
// driver's client reads credentials or certificates.
func namesCredentials(name string) bool {
	return slices.ContainsFunc([]string{"AWS_", "AZURE_", "GOOGLE_", "CLOUDSDK_", "SSL_CERT_", "LARDER_TLS_"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

// cloud is what an SDK's variables say about who it is.
type cloud struct {
	prefix string   // of all its variables
	who    []string // the others say who it is, without the prefix,
	files  []string // and these where profiles and logins stand
}

func clouds() []cloud {
	return []cloud{
		{
			prefix: "AWS_",
			who: []string{
				"ACCESS_KEY_ID", "ACCESS_KEY", "SECRET_ACCESS_KEY", "SECRET_KEY", "SESSION_TOKEN",
				"PROFILE", "DEFAULT_PROFILE",
				"ROLE_ARN", "ROLE_SESSION_NAME", "WEB_IDENTITY_TOKEN_FILE",
				"CONTAINER_CREDENTIALS_RELATIVE_URI", "CONTAINER_CREDENTIALS_FULL_URI",
				"CONTAINER_AUTHORIZATION_TOKEN", "CONTAINER_AUTHORIZATION_TOKEN_FILE",
			},
			files: []string{"SHARED_CREDENTIALS_FILE", "CONFIG_FILE"},
		}, {
			prefix: "AZURE_",
			who: []string{
				"STORAGE_CONNECTION_STRING", "STORAGE_ACCOUNT", "STORAGE_SAS_TOKEN", "STORAGE_KEY",
				"TENANT_ID", "CLIENT_ID", "CLIENT_SECRET",
				"CLIENT_CERTIFICATE_PATH", "CLIENT_CERTIFICATE_PASSWORD", "CLIENT_SEND_CERTIFICATE_CHAIN",
				"USERNAME", "PASSWORD", "FEDERATED_TOKEN_FILE", "TOKEN_CREDENTIALS",
			},
			files: []string{"CONFIG_DIR"},
		}, {
			prefix: "ACTIONS_", // of GitHub's services for a job
			who:    []string{"RESULTS_URL", "RUNTIME_TOKEN"},
		},
	}
}

// singleVariables are those of Google's clients and of Redis's that larder may have for itself.
var singleVariables = []string{"GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST", "REDISCLI_AUTH"}

// promoteCredentials sets AWS_X to the value of each LARDER_AWS_X in environ, and does
// the same for Azure's variables, for GitHub's and for singleVariables. An identity is taken
// whole: if a part of one is larder's, the build's counts for nothing. It changes this
// process alone: a test that the go command runs does not inherit larder's credentials.
func promoteCredentials(environ environment) {
	for _, c := range clouds() {
		var builds []string
		if environ.has("LARDER_"+c.prefix, c.files) {
			builds = slices.Concat(c.who, c.files)
		} else if environ.has("LARDER_"+c.prefix, c.who) {
			builds = c.who // the profile may stand in the build's files
		}
		for _, name := range builds {
			_ = os.Unsetenv(c.prefix + name) // fails for no valid name
		}
	}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		plain, ours := strings.CutPrefix(name, "LARDER_")
		if ours && isCredential(plain) {
			_ = os.Setenv(plain, value) // fails only for names that can't be in environ
		}
	}
}

// isCredential reports whether a variable is one for which larder has another one.
func isCredential(name string) bool {
	return slices.Contains(singleVariables, name) || slices.ContainsFunc(clouds(), func(c cloud) bool {
		return strings.HasPrefix(name, c.prefix)
	})
}
