// Package testserver starts the real servers that tests run against, on
// loopback, one per call, gone when the test ends: [S3] (versitygw over a
// directory), [S3WithIAM] (the same with users who may not do everything), [GCS]
// (fake-gcs-server in memory), and between larder and any of them a [Proxy] that
// is slow, silent or broken on demand.
//
// The servers are pinned in a module of their own (modules/go.mod), so that
// their dependencies stay out of larder's, and are built from it on first
// use; the binaries are kept in the user's cache directory, in a folder named
// after that module's go.sum. A new server is one line in its tool directive
// and one small file here.
//
// Where a server cannot be built or started the test is skipped, except where
// CI is set: there it fails, so that nothing goes untested unnoticed.
package testserver
