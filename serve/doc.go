// Package serve is the server of larder serve: one HTTP handler in front of any store. It answers
// requests of HTTP, and calls of gRPC at the same port.
//
//	/v1/…                 larder's own objects; see package api
//	/cache/{key}          the HTTP build cache of other build tools
//	/ac/{sha256}          Bazel's action cache; an instance name may stand before it
//	/cas/{sha256}         Bazel's content-addressable storage, likewise
//	/, /status            what the server has done, as a page, and as its data in JSON
//	gRPC                  the caches of the Remote Execution API, version 2: the same ac and cas
//	/metrics              what the server has done, for Prometheus
//	/healthz, /readyz     whether the server runs, and whether its store answers
//
// The way of a PUT: who may write there (access.go), the body as a whole with its digests
// (intake.go), then the store. The way of a GET: who may read, then the store's object, as
// a reader that net/http takes ranges from (object.go). What is named by its SHA-256, or was
// stored with it, is compared with it before its last bytes are sent.
//
// A call of gRPC (rpc.go) has the same rights, limits and errors (verdict.go), and asks the store
// in the same way (blob.go). Each service has a file: capabilities.go, actions.go with tree.go,
// storage.go, and bytestream.go. Uploads of ByteStream that break off are kept for a while
// (uploads.go).
//
// Each request is counted once (counts.go), in memory that has a limit whatever clients send.
// metrics.go and status.go present that, and what lies in the store (survey.go).
//
// In the store an object of /v1 has the path as its key. The others lie beside v1/: cache/,
// ac/ and cas/.
package serve
