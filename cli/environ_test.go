package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPromoteCredentials(t *testing.T) {
	const path = "GOOGLE_APPLICATION_CREDENTIALS"
	for _, test := range []struct {
		name    string
		environ map[string]string
		want    map[string]string
	}{
		{
			"single variables",
			map[string]string{
				"AWS_REGION": "build's", "LARDER_AWS_REGION": "larder's", "AWS_CA_BUNDLE": "build's", "LARDER_AWS_CA_BUNDLE": "",
				path: "", "LARDER_" + path: "/larder's", "STORAGE_EMULATOR_HOST": "build's", "LARDER_STORAGE_EMULATOR_HOST": "",
				"GOOGLE_CLOUD_PROJECT": "build's", "LARDER_GOOGLE_CLOUD_PROJECT": "larder's",
				"REMOTE": "build's", "LARDER_REMOTE": "larder's", "AWS_PROFILE": "build's",
			},
			map[string]string{
				"AWS_REGION": "larder's", "AWS_CA_BUNDLE": "", path: "/larder's", "STORAGE_EMULATOR_HOST": "",
				"GOOGLE_CLOUD_PROJECT": "build's", "REMOTE": "build's", "AWS_PROFILE": "build's",
			},
		},
		{
			"keys, not with the build's token",
			map[string]string{
				"AWS_ACCESS_KEY_ID": "build's", "AWS_SECRET_ACCESS_KEY": "build's", "AWS_SESSION_TOKEN": "build's", "AWS_PROFILE": "build's",
				"AWS_REGION": "build's", "AWS_CONFIG_FILE": "build's",
				"LARDER_AWS_ACCESS_KEY_ID": "larder's", "LARDER_AWS_SECRET_ACCESS_KEY": "larder's",
			},
			map[string]string{
				"AWS_ACCESS_KEY_ID": "larder's", "AWS_SECRET_ACCESS_KEY": "larder's", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
				"AWS_REGION": "build's", "AWS_CONFIG_FILE": "build's",
			},
		},
		{
			"a profile, not with the build's keys",
			map[string]string{
				"AWS_ACCESS_KEY_ID": "build's", "AWS_SECRET_ACCESS_KEY": "build's", "AWS_WEB_IDENTITY_TOKEN_FILE": "build's",
				"AWS_CONTAINER_CREDENTIALS_FULL_URI": "build's", "AWS_CONFIG_FILE": "build's", "LARDER_AWS_PROFILE": "larder's",
			},
			map[string]string{
				"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "",
				"AWS_CONTAINER_CREDENTIALS_FULL_URI": "", "AWS_CONFIG_FILE": "build's", "AWS_PROFILE": "larder's",
			},
		},
		{
			"a file, not with the build's keys, profile or other file",
			map[string]string{
				"AWS_ACCESS_KEY_ID": "build's", "AWS_PROFILE": "build's", "AWS_CONFIG_FILE": "build's",
				"LARDER_AWS_SHARED_CREDENTIALS_FILE": "larder's",
			},
			map[string]string{
				"AWS_ACCESS_KEY_ID": "", "AWS_PROFILE": "", "AWS_CONFIG_FILE": "", "AWS_SHARED_CREDENTIALS_FILE": "larder's",
			},
		},
		{
			"secrets that a pull request does not get",
			map[string]string{
				"AWS_PROFILE": "build's", "AWS_ACCESS_KEY_ID": "build's", "LARDER_AWS_ACCESS_KEY_ID": "",
			},
			map[string]string{"AWS_PROFILE": "build's", "AWS_ACCESS_KEY_ID": ""},
		},
		{
			"a key of Azure, not with the build's principal, and with the build's AWS",
			map[string]string{
				"AZURE_CLIENT_ID": "build's", "AZURE_CLIENT_SECRET": "build's", "AZURE_STORAGE_SAS_TOKEN": "build's",
				"AZURE_CONFIG_DIR": "build's", "AZURE_AUTHORITY_HOST": "build's", "AWS_PROFILE": "build's",
				"LARDER_AZURE_STORAGE_KEY": "larder's", "LARDER_AZURE_OTHER": "larder's",
			},
			map[string]string{
				"AZURE_CLIENT_ID": "", "AZURE_CLIENT_SECRET": "", "AZURE_STORAGE_SAS_TOKEN": "",
				"AZURE_CONFIG_DIR": "build's", "AZURE_AUTHORITY_HOST": "build's", "AWS_PROFILE": "build's",
				"AZURE_STORAGE_KEY": "larder's", "AZURE_OTHER": "larder's",
			},
		},
		{
			"a token of GitHub's for larder, as its action hands it on",
			map[string]string{
				"ACTIONS_RESULTS_URL": "build's", "ACTIONS_CACHE_URL": "build's",
				"LARDER_ACTIONS_RESULTS_URL": "larder's", "LARDER_ACTIONS_RUNTIME_TOKEN": "larder's",
			},
			map[string]string{
				"ACTIONS_RESULTS_URL": "larder's", "ACTIONS_RUNTIME_TOKEN": "larder's", "ACTIONS_CACHE_URL": "build's",
			},
		},
		{
			"logins of az, not with the build's key",
			map[string]string{
				"AZURE_STORAGE_KEY": "build's", "AZURE_CONFIG_DIR": "build's", "LARDER_AZURE_CONFIG_DIR": "larder's",
			},
			map[string]string{"AZURE_STORAGE_KEY": "", "AZURE_CONFIG_DIR": "larder's"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var environ environment
			for name, value := range test.environ {
				t.Setenv(name, value)
				environ = append(environ, name+"="+value)
			}
			for name := range test.want {
				t.Setenv(name, test.environ[name])
			}
			promoteCredentials(environ)
			for name, want := range test.want {
				if got := os.Getenv(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestBackgroundFolder(t *testing.T) {
	folder := t.TempDir()
	t.Chdir(folder)
	writeFile(t, filepath.Join(folder, "there"), "")
	list := string(filepath.ListSeparator)
	for name, test := range map[string]struct {
		environ environment
		want    string
	}{
		"nothing":                 {nil, "root"},
		"an absolute path":        {environment{"AWS_CONFIG_FILE=" + filepath.Join(folder, "there")}, "root"},
		"a relative path":         {environment{"AWS_CONFIG_FILE=there"}, ""},
		"a token of Azure's":      {environment{"AZURE_FEDERATED_TOKEN_FILE=there"}, ""},
		"one of several":          {environment{"AWS_REGION=x", "GOOGLE_APPLICATION_CREDENTIALS=./there"}, ""},
		"one of a list":           {environment{"SSL_CERT_DIR=/etc" + list + "there"}, ""},
		"of no file":              {environment{"AWS_PROFILE=default", "AWS_REGION=", "AWS_SESSION_TOKEN=a/b"}, "root"},
		"of no concern to larder": {environment{"PWD=there", "DATA=there"}, "root"},
	} {
		if got := backgroundFolder(test.environ, "root"); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
