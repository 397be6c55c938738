package cli

import (
	"fmt"
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
