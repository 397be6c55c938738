// Package httpstore stores objects on an HTTP server: larder serve, or any plain one that
// takes GET and PUT, such as nginx with dav_methods. The object under key a/b lies at a/b
// below the URL of the store.
//
// The driver knows larder serve by its answers; see package api. Of any other server it
// expects no conditional Puts, no lists and no deletes, and does not ask for them. Such a
// server does not check digests either, so the driver checks the MD5 of a body before it
// sends it. An object's version is its ETag or, without one, the time of its last
// modification; a Put may return an object without a version.
//
// Requests follow the variables HTTP_PROXY, HTTPS_PROXY and NO_PROXY. Only a Get follows
// redirects. It shows credentials to no other host.
package httpstore
