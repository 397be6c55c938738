package testserver

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// GCSClient is Google's own client of a server. Its methods fail the test if the client
// does.
type GCSClient struct {
	file     string
	endpoint string
}

// GCSObject is an object as the client describes it.
type GCSObject struct {
	Name             string
	Size, Generation int64
	MD5              []byte
}

// Client returns Google's own client, which is a program: its libraries are no part of
// larder's module.
func (s GCSServer) Client(t testing.TB) GCSClient {
	t.Helper()
	return GCSClient{binary(t, modulePath+"/testserver/modules/gcsclient"), s.Endpoint}
}

// Put puts data under key, in several requests if it has more than 256 KiB.
func (c GCSClient) Put(t testing.TB, bucket, key string, data []byte) GCSObject {
	t.Helper()
	objects := c.objects(t, c.run(t, data, "put", bucket, key))
	if len(objects) != 1 {
		t.Fatalf("put of %s: %d objects", key, len(objects))
	}
	return objects[0]
}

// Get returns the bytes of the object under key.
func (c GCSClient) Get(t testing.TB, bucket, key string) []byte {
	t.Helper()
	return c.run(t, nil, "get", bucket, key)
}

// List returns the objects whose keys begin with prefix.
func (c GCSClient) List(t testing.TB, bucket, prefix string) []GCSObject {
	t.Helper()
	return c.objects(t, c.run(t, nil, "list", bucket, prefix))
}

// Delete removes the object under key.
func (c GCSClient) Delete(t testing.TB, bucket, key string) {
	t.Helper()
	c.run(t, nil, "delete", bucket, key)
}

func (c GCSClient) run(t testing.TB, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.file, args...)
	cmd.Env = append(slices.Clip(cleanEnviron()), "STORAGE_EMULATOR_HOST="+c.endpoint)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gcsclient %s: %v\n%s", args, err, stderr.String())
	}
	return out
}

// objects reads what the client has printed.
func (c GCSClient) objects(t testing.TB, out []byte) []GCSObject {
	t.Helper()
	var objects []GCSObject
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var object GCSObject
		if err := dec.Decode(&object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	return objects
}
