package gha

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// The service calls key what names one entry, of which there is only one ever. Here such a
// name is called a label: a key of the store, and a stamp that tells entries of the same key
// apart. Labels of a later entry sort behind those before.

const (
	// maxLabel is the length in characters of the longest label that the service takes.
	maxLabel = 512

	// mark separates the key from the stamp.
	mark = "#"

	stampTime  = "20060102T150405.000000000"
	stampNoise = 6 // characters, against two stamps at the same time

	maxStem = maxLabel - len(mark) - len(stampTime) - 1 - stampNoise
)

// escapes are what a label has in place of characters that mean something in one.
var (
	escapes   = strings.NewReplacer("!", "!21", mark, "!23", ",", "!2c")
	unescapes = strings.NewReplacer("!21", "!", "!23", mark, "!2c", ",")
)

// stem returns what stands before the mark in the labels of key. If that would be too long,
// its end is a digest.
func stem(key string) string {
	s := escapes.Replace(key)
	if len(s) <= maxStem {
		return s
	}
	sum := sha256.Sum256([]byte(key))
	digest := "!!" + hex.EncodeToString(sum[:16])
	return strings.ToValidUTF8(s[:maxStem-len(digest)], "") + digest
}

// label returns a label for a new entry of key.
func label(key string, now time.Time) string {
	return stem(key) + mark + now.UTC().Format(stampTime) + "-" + strings.ToLower(rand.Text()[:stampNoise])
}

// query returns how the labels begin that a Get of key asks for. A key that ends with a
// slash stands for all that begin with it.
func query(key string) string {
	if strings.HasSuffix(key, "/") {
		return escapes.Replace(key)
	}
	return stem(key) + mark
}

// keyOf returns the key of a label.
func keyOf(label string) string {
	s, _, _ := strings.Cut(label, mark)
	return unescapes.Replace(s)
}
