package serve

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/larderbuild/larder/backend"
)

// condition is what a request to write demands of what is there.
type condition struct {
	absent bool     // If-None-Match: *
	exists bool     // If-Match: *
	tags   []string // If-Match: one of these ETags
	not    []string // If-None-Match: none of these ETags
}

// conditionOf returns what the headers demand. One that is there and demands nothing is malformed.
func conditionOf(h http.Header) (c condition, err error) {
	for _, name := range []string{"If-Match", "If-None-Match"} {
		if values := h.Values(name); len(values) > 0 && strings.Join(values, "") == "" {
			return c, bad("malformed %s: it is empty", name)
		}
	}
	match, none := strings.Join(h.Values("If-Match"), ","), strings.Join(h.Values("If-None-Match"), ",")
	if match == "*" {
		c.exists = true
	} else if c.tags, err = parseTags("If-Match", match); err != nil {
		return c, err
	}
	if none == "*" {
		c.absent = true
	} else if c.not, err = parseTags("If-None-Match", none); err != nil {
		return c, err
	}
	return c, nil
}

// isNone reports whether nothing is demanded.
func (c condition) isNone() bool {
	return !c.absent && !c.exists && len(c.tags) == 0 && len(c.not) == 0
}

// holds reports whether c holds for an object whose ETag is tag, and if tag is empty for none.
func (c condition) holds(tag string) bool {
	switch {
	case tag == "":
		return !c.exists && len(c.tags) == 0
	case c.absent, slices.Contains(c.not, tag):
		return false
	}
	return len(c.tags) == 0 || slices.Contains(c.tags, tag)
}

// parseTags returns the ETags of a list. What is weak equals nothing, so it comes back as
// no object's tag.
func parseTags(header, list string) (tags []string, err error) {
	for rest := strings.TrimSpace(list); rest != ""; rest = strings.TrimSpace(rest) {
		weak := strings.HasPrefix(rest, "W/")
		begin := strings.TrimPrefix(rest, "W/")
		if !strings.HasPrefix(begin, `"`) {
			return nil, bad(`malformed %s: want * or ETags, such as "x", separated by commas`, header)
		}
		end := strings.IndexByte(begin[1:], '"')
		if end < 0 {
			return nil, bad("malformed %s: a quotation mark is missing", header)
		}
		tag := begin[:end+2]
		if weak {
			tag = "W/" + tag
		}
		tags = append(tags, tag)
		rest = strings.TrimSpace(begin[end+2:])
		if rest != "" && !strings.HasPrefix(rest, ",") {
			return nil, bad("malformed %s: want commas between ETags", header)
		}
		rest = strings.TrimPrefix(rest, ",")
	}
	return tags, nil
}

// versionTag returns the ETag of an object of a version.
func versionTag(version string) string { return `"` + url.QueryEscape(version) + `"` }

// versionOf returns the version that tag, made by versionTag, stands for, or "" if it is none.
func versionOf(tag string) string {
	if len(tag) < 2 || tag[0] != '"' {
		return ""
	}
	version, err := url.QueryUnescape(tag[1 : len(tag)-1])
	if err != nil || versionTag(version) != tag {
		return ""
	}
	return version
}

// storeCondition returns c as a condition of the store, for objects whose tags are their
// versions. now asks for the version that is there, and returns "" if there is none.
func (c condition) storeCondition(now func() (string, error)) (backend.Condition, error) {
	switch {
	case c.isNone():
		return backend.Condition{}, nil
	case c.absent && !c.exists && len(c.tags) == 0:
		return backend.Condition{Absent: true}, nil
	case len(c.tags) == 1 && !c.absent && len(c.not) == 0:
		if version := versionOf(c.tags[0]); version != "" {
			return backend.Condition{Version: version}, nil
		}
		return backend.Condition{}, backend.ErrConflict
	}
	version, err := now()
	if err != nil {
		return backend.Condition{}, err
	}
	tag := ""
	if version != "" {
		tag = versionTag(version)
	}
	if !c.holds(tag) {
		return backend.Condition{}, backend.ErrConflict
	}
	return backend.Condition{Absent: version == "", Version: version}, nil
}
