package gcs_test

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"strconv"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/testserver"
)

// sizes are those of objects that both sides write. The official client puts the last one in
// several requests.
var sizes = []int{0, 1, 100_000, 1<<20 + 1}

func bytesOf(size int) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	return data
}

// TestOfficialClientReads: Google's own client finds what larder has stored.
func TestOfficialClientReads(t *testing.T) {
	server := testserver.GCS(t)
	client, s := server.Client(t), open(t, server, "some/prefix")
	defer s.Close()
	const bucket = "testofficialclientreads"
	put := make(map[string]backend.Object)
	for _, size := range sizes {
		key := fmt.Sprintf("in a folder/%d?#%%41 日本", size)
		put["some/prefix/"+key] = backendtest.PutBytes(t, s, key, bytesOf(size))
		if got := client.Get(t, bucket, "some/prefix/"+key); !bytes.Equal(got, bytesOf(size)) {
			t.Errorf("%s: got %d bytes, want %d", key, len(got), size)
		}
	}
	listed := client.List(t, bucket, "some/prefix/in a")
	if len(listed) != len(sizes) {
		t.Errorf("%d objects, want %d", len(listed), len(sizes))
	}
	for _, got := range listed {
		want, sum := put[got.Name], md5.Sum(bytesOf(int(got.Size)))
		if got.Size != want.Size || strconv.FormatInt(got.Generation, 10) != want.Version || !bytes.Equal(got.MD5, sum[:]) {
			t.Errorf("listed %+v, put %+v", got, want)
		}
	}
}

// TestOfficialClientWrites: larder finds what Google's own client has stored.
func TestOfficialClientWrites(t *testing.T) {
	server := testserver.GCS(t)
	client, s := server.Client(t), open(t, server, "")
	defer s.Close()
	const bucket = "testofficialclientwrites"
	want := make(map[string]backend.Object)
	for _, size := range sizes {
		key := fmt.Sprintf("in a folder/%d?#%%41 日本", size)
		made := client.Put(t, bucket, key, bytesOf(size))
		want[key] = backend.Object{Key: key, Size: made.Size, Version: strconv.FormatInt(made.Generation, 10)}
		body, obj, err := s.Get(t.Context(), key, backend.Range{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		body.Close()
		if err != nil || !bytes.Equal(got, bytesOf(size)) || obj != want[key] {
			t.Errorf("got %d bytes of %+v, %v; want %+v", len(got), obj, err, want[key])
		}
	}
	n := 0
	for obj, err := range s.List(t.Context(), "in a") {
		n++
		was := want[obj.Key]
		if err != nil || obj.Size != was.Size || obj.Version != was.Version || obj.Written.IsZero() {
			t.Errorf("listed %+v, %v; want %+v", obj, err, was)
		}
	}
	if n != len(sizes) {
		t.Errorf("%d objects, want %d", n, len(sizes))
	}
}

// TestOfficialClientMeanwhile: larder notices what Google's own client does to an object.
func TestOfficialClientMeanwhile(t *testing.T) {
	server := testserver.GCS(t)
	client, s := server.Client(t), open(t, server, "")
	defer s.Close()
	const bucket, key = "testofficialclientmeanwhile", "key"
	first := backendtest.PutBytes(t, s, key, []byte("ours"))
	client.Put(t, bucket, key, []byte("theirs"))
	opts := backend.OptionsOf([]byte("ours"))
	opts.If.Version = first.Version
	if _, err := s.Put(t.Context(), key, bytes.NewReader([]byte("ours")), opts); !isConflict(err) {
		t.Errorf("put over a version that is gone: %v", err)
	}
	if err := s.Delete(t.Context(), key, first.Version); !isConflict(err) {
		t.Errorf("delete of a version that is gone: %v", err)
	}
	client.Delete(t, bucket, key)
	if _, _, err := s.Get(t.Context(), key, backend.Range{}); !isMissing(err) {
		t.Errorf("get of what is gone: %v", err)
	}
}

func isConflict(err error) bool { return errors.Is(err, backend.ErrConflict) }
func isMissing(err error) bool  { return errors.Is(err, backend.ErrNotFound) }
