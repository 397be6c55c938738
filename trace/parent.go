package trace

import (
	"encoding/hex"
	"net/http"
	"strings"
)

// parent is what W3C Trace Context says of the span that a new one belongs to.
type parent struct {
	traceID [16]byte // zero: there is no parent
	spanID  [8]byte
	flags   byte
	state   string // of vendors, as in the header tracestate
	remote  bool   // it came with a request
}

// The flags of a traceparent that have a meaning.
const (
	sampledFlag = 1 << 0
	randomFlag  = 1 << 1 // the trace ID is random
)

func (p parent) exists() bool { return p.traceID != [16]byte{} }

// parentOf returns the parent that the header of a request names. If traceparent is missing,
// malformed or given twice, there is none. Of a version after 00 it reads what version 00 has.
func parentOf(h http.Header) parent {
	values := h.Values("Traceparent")
	if len(values) != 1 {
		return parent{}
	}
	const size = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	text, rest := values[0], ""
	if len(text) > size {
		text, rest = text[:size], text[size:]
	}
	parts := strings.Split(text, "-")
	if len(parts) != 4 {
		return parent{}
	}
	p := parent{remote: true}
	var version, flags [1]byte
	for i, to := range [][]byte{version[:], p.traceID[:], p.spanID[:], flags[:]} {
		if !decodeHex(to, parts[i]) {
			return parent{}
		}
	}
	isFuture := version[0] > 0 && version[0] < 0xff
	switch {
	case p.traceID == [16]byte{}, p.spanID == [8]byte{}, version[0] == 0xff,
		rest != "" && (!isFuture || rest[0] != '-'):
		return parent{}
	}
	p.flags = flags[0] & (sampledFlag | randomFlag)
	p.state = stateOf(h)
	return p
}

// decodeHex fills to from lower-case digits, and reports whether they are as many as it needs.
func decodeHex(to []byte, digits string) bool {
	if len(digits) != hex.EncodedLen(len(to)) || digits != strings.ToLower(digits) {
		return false
	}
	_, err := hex.Decode(to, []byte(digits))
	return err == nil
}

const (
	maxState   = 512 // bytes; the standard has everybody keep as many
	maxMembers = 32  // of a state
)

// stateOf returns the header tracestate, or "" if it is malformed, or longer than maxState.
func stateOf(h http.Header) string {
	var members []string
	seen := make(map[string]bool)
	for member := range strings.SplitSeq(strings.Join(h.Values("Tracestate"), ","), ",") {
		member = strings.Trim(member, " \t")
		if member == "" {
			continue // the standard allows it
		}
		key, value, ok := strings.Cut(member, "=")
		if !ok || seen[key] || !isStateKey(key) || !isStateValue(value) {
			return ""
		}
		seen[key] = true
		members = append(members, member)
	}
	state := strings.Join(members, ",")
	if len(state) > maxState || len(members) > maxMembers {
		return ""
	}
	return state
}

// isStateKey reports whether key is one of a vendor, or of a tenant at a vendor: tenant@vendor.
func isStateKey(key string) bool {
	tenant, vendor, ok := strings.Cut(key, "@")
	if !ok {
		return isStateName(key, 256) && isLetter(key[0])
	}
	return isStateName(tenant, 241) && isStateName(vendor, 14) && isLetter(vendor[0])
}

func isStateName(name string, most int) bool {
	return name != "" && len(name) <= most && (isLetter(name[0]) || isDigit(name[0])) &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return r > 0x7f || !isLetter(byte(r)) && !isDigit(byte(r)) && !strings.ContainsRune("_-*/", r)
		})
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

func isStateValue(value string) bool {
	return value != "" && len(value) <= 256 &&
		!strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' || r == ',' || r == '=' })
}
