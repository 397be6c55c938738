// Package backendtest is for tests of and with stores: [Run], the one suite
// that every driver passes on a real server, [RunAnswers], one for those that
// speak HTTP, of what no real server says, [Memory], a store that forgets, and
// [Faulty], one that fails as it is told.
package backendtest
