package serve

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"sync"
)

// page shows people what /status says. It has no data of its own, and all that it needs.
//
//go:embed page.html
var page string

// pagePolicy allows the page its own script, its own style and requests to this server, and
// nothing else. A browser that knows trusted types refuses to make elements from text.
var pagePolicy = sync.OnceValue(func() string {
	return strings.Join([]string{
		"default-src 'none'",
		"script-src " + inlineSource("script"),
		"style-src " + inlineSource("style"),
		"connect-src 'self'",
		"img-src data:", // the icon
		"base-uri 'none'",
		"form-action 'none'", // the script sends it
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; ")
})

// inlineSource returns how a policy names the content of the page's element with a tag.
func inlineSource(tag string) string {
	_, content, _ := strings.Cut(page, "<"+tag+">")
	content, _, _ = strings.Cut(content, "</"+tag+">")
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// pageEndpoint answers with the page. Everybody may see it.
type pageEndpoint struct{}

func (pageEndpoint) serve(x *exchange) {
	if !x.allows(http.MethodGet, http.MethodHead) {
		return
	}
	h := x.w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy())
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache") // another version has another page
	_, _ = io.WriteString(x.w, page)   // to whoever still reads
}
