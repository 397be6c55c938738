package cli

import (
	"fmt"
	"os"
	"time"
)

// filePatience is how long larder waits for a file that a setting names. The file may be
// on a network mount whose server is gone.
const filePatience = 5 * time.Second

// patiently returns what f returns, which uses the file at path. If f takes longer than
// filePatience, patiently returns an error that names the file, and f goes on behind the
// caller's back.
func patiently[T any](path string, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-time.After(filePatience):
		var none T
		return none, fmt.Errorf("%s: its file system does not answer within %v", path, filePatience)
	}
}

// readRegular returns the content of the file at path, which a variable of the build's
// names. It takes no FIFO and no device, which might never end, and no more than limit bytes.
func readRegular(path string, limit int64) ([]byte, error) {
	return patiently(path, func() ([]byte, error) {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() || info.Size() > limit {
			return nil, fmt.Errorf("%s is no regular file of at most %d bytes", path, limit)
		}
		return os.ReadFile(path)
	})
}
