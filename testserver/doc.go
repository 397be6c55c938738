// Package testserver starts the real servers that tests run against: [S3] (versitygw over
// a directory), [S3WithIAM] (the same with users who may not do everything) and [GCS]
// (fake-gcs-server in memory). Each call starts a server of its own, on loopback, which
// ends with the test. Between larder and any of them a [Proxy] may stand, which is slow,
// silent or broken on demand.
//
// A module of its own (modules/go.mod) pins the servers, so that their dependencies stay
// out of larder's. The first test that needs a server builds all of them, by one go
// command; tests of other packages wait for it. The user's cache directory keeps the
// binaries, in a folder named after that module's go.sum, the version of Go and the
// platform. When such a folder is filled, those that were not used for a month go. A new
// server is one line in the module's tool directive and one small file here.
//
// If a server cannot be built or started, the test is skipped. Where CI is set it fails
// instead, so that nothing goes untested unnoticed.
package testserver
