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
// function, so the tests make one. And it can't remove files in the way that Go asks for
// first: the go command says "Invalid function" once its work is done, and ends with status 1.
// So the tests look at what it has made.
package wine
