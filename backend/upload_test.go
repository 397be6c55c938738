package backend_test

import (
	"io"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
)

// TestUploadAttempt: once a client has begun a second attempt, what is left of the first one reads
// nothing of the body.
func TestUploadAttempt(t *testing.T) {
	body := strings.NewReader("skipped, kept")
	body.Seek(9, io.SeekStart)
	u, err := backend.NewUpload(t.Context(), body, 4)
	if err != nil {
		t.Fatal(err)
	}
	first, err := u.Attempt()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := first.Read(make([]byte, 2)); n != 2 || err != nil {
		t.Fatalf("read %d bytes, %v", n, err)
	}
	second, err := u.Attempt()
	if err != nil {
		t.Fatal(err)
	}
	if n, err := first.Read(make([]byte, 2)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("the first attempt read %d bytes, %v", n, err)
	}
	if data, err := io.ReadAll(second); string(data) != "kept" || err != nil {
		t.Errorf("the second attempt read %q, %v", data, err)
	}
	u.Release()
	if _, err := u.Attempt(); err == nil {
		t.Error("an attempt after the put is over")
	}
	if n, err := second.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
		t.Errorf("read %d bytes after the put is over, %v", n, err)
	}
}
