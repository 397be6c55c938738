package secrets

import "bytes"

// isCompiled reports whether a body that begins so is one in which no shapes are
// searched: there they stand by chance, as a linker puts strings side by side.
func isCompiled(body []byte) bool {
	for _, begin := range []string{
		"!<arch>\n",                                             // archives
		"go index v",                                            // of modules
		"\x7fELF", "MZ", "\xcf\xfa\xed\xfe", "\xce\xfa\xed\xfe", // programs
	} {
		if bytes.HasPrefix(body, []byte(begin)) {
			return true
		}
	}
	return false
}

// Scan searches one body, which is written to it in pieces of any size. It is for
// one goroutine, and keeps a part of the body that does not grow with it.
//
// Writes are gathered until there is a window to search, so that they may be tiny,
// and what is found does not depend on how the body was cut.
type Scan struct {
	filter *Filter
	window []byte  // what is not yet searched, behind the overlap
	moved  bool    // window does not begin where the body does
	shapes []shape // to be searched in this body
	rule   string  // found in a window before; nothing more is searched
}

// NewScan starts a search through one body.
func (f *Filter) NewScan() *Scan {
	// The body is searched as if a line break stood before and behind it. This is
	// what a pattern sees that asks what surrounds a secret. No value begins or
	// ends in one.
	return &Scan{filter: f, window: []byte{'\n'}}
}

// Write takes the next piece of the body. It returns len(p) and no error.
func (s *Scan) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && s.rule == ""; {
		n := min(len(rest), s.filter.full-len(s.window))
		s.window = append(s.window, rest[:n]...)
		rest = rest[n:]
		if len(s.window) == s.filter.full {
			s.advance()
		}
	}
	return len(p), nil
}

// advance searches a full window and makes room for the next.
func (s *Scan) advance() {
	s.rule = s.search(s.window)
	s.moved = true
	if s.rule != "" {
		s.window = nil
		return
	}
	n := copy(s.window, s.window[len(s.window)-s.filter.overlap:])
	s.window = s.window[:n]
}

// Found returns the rule that the body matches if it ends with what was written so
// far, or "". A rule names a variable or a shape, never a value: "value of
// GITHUB_TOKEN", "private key". Of several it is the same one each time. Found
// searches what is gathered and is meant to be called at the end of the body.
func (s *Scan) Found() (rule string) {
	if s.rule != "" {
		return s.rule
	}
	return s.search(append(s.window, '\n')) // s.window does not change
}

func (s *Scan) search(window []byte) (rule string) {
	if !s.moved {
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
		if s.shapes[i].in(window) {
			return s.shapes[i].rule
		}
	}
	return ""
}
