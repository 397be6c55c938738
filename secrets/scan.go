package secrets

import "bytes"

// isCompiled reports whether body, or the beginning of one, belongs to an archive, a
// module index or a program. These are not searched for shapes, which occur in them by
// chance, because a linker puts strings side by side.
func isCompiled(body []byte) bool {
	for _, begin := range []string{
		"!<arch>\n",                                             // archives
		"go index v",                                            // module indexes
		"\x7fELF", "MZ", "\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", // programs
	} {
		if bytes.HasPrefix(body, []byte(begin)) {
			return true
		}
	}
	return false
}

// Scan searches one body. The caller writes the body to it in pieces of any size; the
// result does not depend on how the body is cut. Scan keeps a window of the body in
// memory, whose size does not depend on the size of the body. It must not be used by more
// than one goroutine at a time.
type Scan struct {
	filter   *Filter
	window   []byte  // the overlap, which is searched already, and what follows it
	advanced bool    // the window no longer begins where the body does
	shapes   []shape // those for which this body is searched
	rule     string  // what an earlier window matched; then the search is over
}

// NewScan starts a search through one body.
func (f *Filter) NewScan() *Scan {
	// The body is searched as if a line break stood before and behind it, for
	// patterns that look at the bytes around a secret. No value begins or ends in
	// a line break.
	return &Scan{filter: f, window: []byte{'\n'}}
}

// Write takes the next piece of the body. It returns len(p) and never an error.
func (s *Scan) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && s.rule == ""; {
		n := min(len(rest), s.filter.windowSize-len(s.window))
		s.window = append(s.window, rest[:n]...)
		rest = rest[n:]
		if len(s.window) == s.filter.windowSize {
			s.advance()
		}
	}
	return len(p), nil
}

// advance searches a full window and keeps only its overlap with the next one.
func (s *Scan) advance() {
	s.rule = s.search(s.window)
	s.advanced = true
	if s.rule != "" {
		s.window = nil
		return
	}
	n := copy(s.window, s.window[len(s.window)-s.filter.overlap:])
	s.window = s.window[:n]
}

// Found returns the rule that the body matches, or "" if it matches none. A rule names a
// variable or a shape, never a value: "value of GITHUB_TOKEN", "private key". If the body
// matches several rules, Found returns the same one each time. Found takes what was
// written so far as the whole body, so call it at the end of the body.
func (s *Scan) Found() (rule string) {
	if s.rule != "" {
		return s.rule
	}
	return s.search(append(s.window, '\n')) // s.window does not change
}

// search returns a rule that window matches, or "".
func (s *Scan) search(window []byte) (rule string) {
	if !s.advanced {
		s.shapes = s.filter.shapes
		if isCompiled(window[1:]) {
			s.shapes = nil
		}
	}
	for _, v := range s.filter.values {
		if bytes.Contains(window, v.text) {
			return v.rule
		}
	}
	for i := range s.shapes {
		if s.shapes[i].matches(window) {
			return s.shapes[i].rule
		}
	}
	return ""
}
