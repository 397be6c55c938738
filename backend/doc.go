// Package backend defines what larder asks of an object store, and what it
// adds to every one of them.
//
// [Store] is the contract. Each driver (s3, gcs, dir) is a folder below; open
// turns a URL into a Store; backendtest holds the one suite that all of them
// pass. A driver does one attempt at one request and says truly what came of
// it: SDKs' own retries are off, since a hidden second try turns the success
// of a conditional Put into a conflict.
//
// What all stores share is a decorator: a constructor here that wraps a Store
// and gives a Store. The order matters. From the driver outwards:
//
//	WithPrefix    by the driver itself, with its URL's prefix: keys in errors are
//	              whole, all others see them without it
//	Lazy          opens the driver at the first request
//	WithLatency   the network's own delay, for measurements
//	WithBandwidth likewise its width
//	WithLog       one record for each attempt
//	WithCounters  likewise
//	WithTimeout   so that waiting for a slot or for the next try is not silence
//	WithBreaker   sees every attempt and the timeouts; those waiting for a slot
//	              meet it when their turn comes, and fail at once if it is open
//	WithLimit     so that a request that waits for its next try holds no slot
//	WithRetry     stops at once when the breaker opens
//	ReadOnly      refuses before anything else happens
//
// They are put together in one place, package cli.
package backend
