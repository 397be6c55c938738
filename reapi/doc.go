// Package reapi has the messages and names of the Remote Execution API, version 2, that its
// caches need: https://github.com/bazelbuild/remote-apis. The driver reapi and larder serve
// share them.
//
// They are the API's, with its names and numbers, and without what only execution needs. A test
// compares each with the code that is generated from the API. That code is not linked in: it
// costs every go command 2.8 ms of larder's start.
package reapi
