package secrets

import (
	_ "embed"
	"math"
	"slices"
	"strings"
	"sync"
)

const (
	// minBits is the strength of the weakest value that is searched for. Two common
	// words have less, three have more.
	minBits = 28
	// wordBits is the strength of a common word.
	wordBits = 10
	// maxWord is the length in bytes of the longest common word.
	maxWord = 16
	// maxMeasured is the length in bytes of the longest value that is measured. A
	// longer one counts as secret.
	maxMeasured = 256
)

//go:embed words.txt
var wordList string

// commonWords returns the common words. Only commands that have a value to
// measure wait until the list is read.
var commonWords = sync.OnceValue(func() map[string]bool {
	words := make(map[string]bool)
	for _, word := range strings.Fields(wordList) {
		words[word] = true
	}
	return words
})

// isStrong reports whether text could be a secret. The names, in lower case, are those
// that the build holds anyway: they add no strength.
func isStrong(text string, names []string) bool {
	return len(text) > maxMeasured || bits(strings.ToLower(text), byteBits(text), names) >= minBits
}

// bits returns the strength of text, which is in lower case: the least over all ways to
// cut it into names, common words and single bytes. A single byte has perByte bits,
// unless it is a separator or repeats the byte before it.
func bits(text string, perByte float64, names []string) float64 {
	least := slices.Repeat([]float64{math.Inf(1)}, len(text)+1) // of text[:i]
	least[0] = 0
	for i := range len(text) {
		reach := func(n int, strength float64) { least[i+n] = min(least[i+n], least[i]+strength) }
		if isSeparator(text[i]) || i > 0 && text[i] == text[i-1] {
			reach(1, 0)
		}
		reach(1, perByte)
		for n := 1; n <= min(maxWord, len(text)-i); n++ {
			if commonWords()[text[i:i+n]] {
				reach(n, wordBits)
			}
		}
		for _, name := range names {
			if strings.HasPrefix(text[i:], name) {
				reach(len(name), 0)
			}
		}
	}
	return least[len(text)]
}

// isSeparator reports whether c stands between the words of ordinary values.
func isSeparator(c byte) bool { return strings.IndexByte(" -_./:,;@=+", c) >= 0 }

// byteBits returns the strength of one byte of text, by the kinds of bytes in it.
func byteBits(text string) float64 {
	size := 0
	for _, kind := range []struct {
		has  func(r rune) bool
		size int
	}{
		{func(r rune) bool { return 'a' <= r && r <= 'z' }, 26},
		{func(r rune) bool { return 'A' <= r && r <= 'Z' }, 26},
		{func(r rune) bool { return '0' <= r && r <= '9' }, 10},
		{func(r rune) bool { return r > 0x7f || r > ' ' && strings.ContainsRune("!\"#$%&'()*<>?[\\]^`{|}~", r) }, 32},
	} {
		if strings.ContainsFunc(text, kind.has) {
			size += kind.size
		}
	}
	return math.Log2(float64(max(size, 1)))
}
