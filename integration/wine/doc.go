// Package wine has tests that run larder for Windows, and a go command for Windows, under
// Wine:
//
//	apt-get install --no-install-recommends wine wine64 gcc-mingw-w64-x86-64-win32
//	go test -tags wine -v -timeout 60m ./integration/wine
//
// The first run builds the go command, its tools and Wine's folder, and keeps them in the
// user's cache directory.
//
// Wine is not Windows. Wine 8 has no bcryptprimitives.dll, of which Go's runtime wants one
// function, so the tests make one. And Wine 8 can't remove files in the way that Go asks for
// first; so whatever is built for Windows here has a standard library that then goes on to
// the older way (see writeOverlay).
package wine
