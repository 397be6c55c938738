// Package testserver starts the real servers that tests use: [S3] (versitygw, with its
// objects in a directory), [S3WithIAM] (the same, with users who have fewer rights),
// [GCS] (fake-gcs-server, with its objects in memory), [Azure] (Azurite, with its objects
// in memory), [Actions] (the cache service of GitHub Actions, with its rules, in front of
// Azurite) and [BazelRemote] (a cache of the Remote Execution API). Each call starts a new
// server on loopback, which ends with the test. A test may put a [Proxy] between larder and a
// server. The proxy is slow, silent or broken on demand.
//
// A separate module (modules/go.mod) pins the servers' versions, so larder's module does
// not have their dependencies. The first test that needs a server builds all servers with
// one go command; tests of other packages wait for it. The package keeps the binaries in
// the user's cache directory, in a folder whose name depends on the module's sources and its
// go.sum, the version of Go and the platform. When it has filled such a folder, it removes folders
// that were not used for a month. To add a server, add a line to the module's tool
// directive and a small file to this package.
//
// The module also has what [GCSServer.Client] starts: Google's own client, as a second
// opinion on what larder's driver does.
//
// What runs on Node.js comes from npm: servers, and programs that a test runs with [Node].
// npm/package-lock.json pins them, and all that they need. The first test that needs one has
// npm install them in the same way.
//
// [Chromium] finds a browser.
//
// [Program] builds other programs that tests run, such as linters, one by one. .ci/tools pins
// them.
//
// If a server or a program can't be built or started, the test is skipped. But if CI is set, the test
// fails, so that CI always tests everything.
package testserver
