// Package entry owns the entry object: the one remote object that holds one
// cache entry, so that a hit costs one request and joins nothing.
//
// An entry object is a header of fixed size, then the payload. Integers are
// big-endian.
//
//	offset  size  field
//	     0     8  magic: "larder\r\n"
//	     8     1  version: 1
//	     9     1  codec of the payload: 0 raw, 1 zstd
//	    10    32  action ID
//	    42    32  output ID: SHA-256 of the body
//	    74     8  body size in bytes
//	    82     8  payload size in bytes
//	    90     8  time of the original put, Unix nanoseconds
//	    98     8  build cost in nanoseconds, at most an hour, 0 where unknown
//	   106    16  MD5 of the payload
//	   122     8  signer key ID, zero where unsigned
//	   130    64  signature, zero where unsigned
//	   194     4  CRC-32C of the 194 bytes before it
//	   198        payload
//
// The signature is package sign's, for the purpose "larder entry v1", of the scope
// in which the object lies and of the 130 bytes before it: an entry can't be moved
// to another action or another scope, nor have its time or size changed. The body
// is covered by its SHA-256.
//
// The magic ends in a line break that a transfer in text mode would spoil. The
// CRC is there for the fields that nothing else would give away when a bit of
// them flips: the time and the cost. The payload is the body as zstd, or the
// body itself where zstd does not make it smaller.
//
// Nothing in a header is believed before it is checked. [Open] refuses a header
// that is damaged, of another version, of another action, or not signed by who is
// trusted; the [Reader] it returns decodes no more than the header's sizes allow,
// and reports the end of the body only after the MD5 of the whole payload was
// right. Whether the body has the SHA-256 that the output ID promises is for
// whoever stores it to check, as it is hashed there anyhow.
package entry
