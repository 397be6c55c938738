package integration

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"testing"
)

// TestDamagedObjects damages every object in the store. None of it reaches the
// build, and the build's own puts repair it.
func TestDamagedObjects(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	s.fill(t, c)
	for name, damage := range map[string]func([]byte) []byte{
		"a byte of the header": func(b []byte) []byte { b[5] ^= 1; return b },
		"a byte of the body":   func(b []byte) []byte { b[len(b)-5] ^= 1; return b },
		"the last byte gone":   func(b []byte) []byte { return b[:len(b)-1] },
		"half gone":            func(b []byte) []byte { return b[:len(b)/2] },
		"empty":                func([]byte) []byte { return nil },
		"something behind":     func(b []byte) []byte { return append(b, 0) },
		"not ours":             func(b []byte) []byte { return []byte("#!/bin/sh\n") },
	} {
		t.Run(name, func(t *testing.T) {
			walkFiles(t, s.folder, func(path string) {
				if err := os.WriteFile(path, damage(readFile(t, path)), 0o666); err != nil {
					t.Fatal(err)
				}
			})
			r := c.build(s.machine(t, c, s.endpoint))
			r.wantOneLine(t)
			// Where the archive is damaged, nothing more is asked for its
			// package; and the manifest counts.
			if r.fromRemote() != 0 || r.stats.Corrupt < int64(c.packages) || r.stats.Corrupt > int64(c.packages)+1 {
				t.Errorf("%+v", r.stats)
			}
			s.wantFull(t, c)
		})
	}
}

// TestDamagingLink damages every object on its way.
func TestDamagingLink(t *testing.T) {
	t.Parallel()
	c, s := usualChain(t), s3Store(t)
	s.fill(t, c)
	endpoint := newGate(t, s.endpoint, nil, func(r *http.Response) error {
		if r.Request.Method != http.MethodGet || r.StatusCode != http.StatusOK {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		body[len(body)/2] ^= 0x10
		r.Body = io.NopCloser(bytes.NewReader(body))
		return nil
	})
	r := c.build(s.machine(t, c, endpoint))
	r.wantOneLine(t)
	if r.fromRemote() != 0 || r.stats.Corrupt != int64(c.packages)+1 { // and the manifest
		t.Errorf("%+v", r.stats)
	}
	s.wantFull(t, c)
}
