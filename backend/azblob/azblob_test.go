package azblob_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/azblob"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/testserver"
)

func TestStore(t *testing.T) {
	server := testserver.Azure(t)
	server.Setenv(t)
	backendtest.Run(t, func(t *testing.T) backend.Store { return open(t, server, "some/prefix") })
}

// TestStoreInBlocks has the store put in blocks what it puts at once as long as objects are
// not huge.
func TestStoreInBlocks(t *testing.T) {
	server := testserver.Azure(t)
	server.Setenv(t)
	backendtest.Run(t, func(t *testing.T) backend.Store { return open(t, server, "some/prefix", inBlocks) })
}

// inBlocks returns cfg for a store that puts in blocks what has more than a byte.
func inBlocks(cfg azblob.Config) azblob.Config { return cfg.InBlocks(1, 1<<20) }

// open creates a container and returns the store under prefix in it.
func open(t *testing.T, server testserver.AzureServer, prefix string, change ...func(azblob.Config) azblob.Config) backend.Store {
	t.Helper()
	container := containerName(t)
	server.Container(t, container)
	return openURL(t, server.URL(container, prefix), change...)
}

// openURL returns the store at url. It closes the store at the end of the test.
func openURL(t *testing.T, url string, change ...func(azblob.Config) azblob.Config) backend.Store {
	t.Helper()
	cfg, err := azblob.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		cfg = c(cfg)
	}
	s, err := azblob.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// containerName returns a legal container name made from the test's name.
func containerName(t *testing.T) string {
	name := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
	return strings.ReplaceAll(name, "_", "-")
}

// TestSilent: the SDK logs nothing to stderr, also if the environment asks for it when the
// process starts.
func TestSilent(t *testing.T) {
	const variable, url = "AZURE_SDK_GO_LOGGING", "URL_OF_TEST_SILENT"
	if os.Getenv(variable) != "" {
		backendtest.PutBytes(t, openURL(t, os.Getenv(url)), "key", []byte("data"))
		return
	}
	server := testserver.Azure(t)
	server.Container(t, "container")
	again := exec.Command(os.Args[0], "-test.run=^TestSilent$")
	again.Env = append(append(os.Environ(), server.Environ()...), variable+"=all", url+"="+server.URL("container", ""))
	var stderr bytes.Buffer
	again.Stderr = &stderr
	if out, err := again.Output(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v\n%s%s", err, out, stderr.Bytes())
	}
}
