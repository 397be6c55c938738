package gha

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// The service calls key what names one entry, of which there is only one ever. Here such a
// name is called a label: a key of the store, and a stamp that tells entries of the same key
// apart. Which entry is the newest one is for the service to say, and not for the stamps:
// machines have different clocks.

const (
	// maxLabel is the length in characters of the longest label that the service takes.
	maxLabel = 512

	// mark separates the key from the stamp.
	mark = "#"

	stampTime  = "20060102t150405.000000000"
	stampNoise = 6 // characters, against two stamps at the same time

	maxStem = maxLabel - len(mark) - len(stampTime) - 1 - stampNoise

	digestLength = 2 + 2*digestSize // of a digest in a stem
	digestSize   = 16               // in bytes
)

// plain are the characters that stand in a label as in the key. Capital letters are not
// among them: the service takes no notice of case.
const plain = "abcdefghijklmnopqrstuvwxyz0123456789-._/%+"

// escape returns key as it stands in a label: bytes that are not plain as !xx.
func escape(key string) string {
	var b strings.Builder
	for _, c := range []byte(key) {
		if strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "!%02x", c)
		}
	}
	return b.String()
}

// unescape is the inverse of escape. It reports whether s can be unescaped.
func unescape(s string) (key string, ok bool) {
	head, rest, more := strings.Cut(s, "!")
	var b strings.Builder
	for b.WriteString(head); more; b.WriteString(head) {
		if len(rest) < 2 {
			return "", false
		}
		c, err := hex.DecodeString(rest[:2])
		if err != nil {
			return "", false
		}
		b.Write(c)
		head, rest, more = strings.Cut(rest[2:], "!")
	}
	return b.String(), true
}

// stem returns what stands before the mark in the labels of key. If that would be too long,
// its end is a digest.
func stem(key string) string {
	s := escape(key)
	if len(s) <= maxStem {
		return s
	}
	sum := sha256.Sum256([]byte(key))
	return s[:maxStem-digestLength] + "!!" + hex.EncodeToString(sum[:digestSize])
}

// label returns a label for a new entry of key.
func label(key string, now time.Time) string {
	return stem(key) + mark + now.UTC().Format(stampTime) + "-" + strings.ToLower(rand.Text()[:stampNoise])
}

// query returns how the labels begin that a Get of key asks for. A key that ends with a
// slash stands for all that begin with it.
func query(key string) string {
	if isFolder(key) {
		return escape(key)
	}
	return stem(key) + mark
}

// isFolder reports whether a Get of key asks for the newest one of several objects.
func isFolder(key string) bool { return strings.HasSuffix(key, "/") }

// keyOf returns the key of a label. It reports whether the label has the whole key.
func keyOf(label string) (key string, ok bool) {
	s, _, ok := strings.Cut(label, mark)
	if !ok {
		return "", false
	}
	return unescape(s)
}
