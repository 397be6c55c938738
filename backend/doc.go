// Package backend defines what larder needs from an object store, and has the
// decorators that larder puts around each store.
//
// [Store] is the contract. Each driver (s3, gcs, azblob, gha, redis, httpstore, reapi,
// dir) is a folder below this one.
// Package open turns a URL into a Store. Package backendtest has the suite that
// all drivers pass. A driver makes one attempt at each request and returns its
// result. The SDKs' retries are off: if a conditional Put succeeds and a hidden
// retry repeats it, the retry meets a conflict.
//
// A decorator does what all stores need. Each is a function in this package that
// takes a Store and returns a Store. Their order matters. From the driver
// outwards it is:
//
//	WithPrefix    adds the URL's prefix to keys. The driver calls it itself, so
//	              errors have whole keys, and all others see keys without prefix.
//	Deferred      opens the driver at the first request.
//	WithLatency   adds the delay of a network, for measurements.
//	WithBandwidth sets the bandwidth of a network, for measurements.
//	WithLog       makes one record for each attempt.
//	WithCounters  counts each attempt.
//	WithTimeout   ends a request without progress. A request that waits for a
//	              slot or for its next attempt is not here yet, so it can't time
//	              out.
//	WithBreaker   judges each attempt, timeouts too. A request that waited for a
//	              slot fails here at once if the circuit is open.
//	WithLimit     gives out slots, and fewer of them to a store that is busy. A
//	              request that waits for its next attempt has none.
//	WithRetry     waits a stumble out and tries again; waits for an open circuit.
//	ReadOnly      refuses what would write, before anything else happens.
//	WithTrace     tells when a request begins and ends, with all of its attempts.
//	              Only larder serve has it.
//
// Package cli puts them together.
package backend
