// Package entry reads and writes entry objects. An entry object is the one object
// in a remote that holds one cache entry, so a hit costs one request.
//
// An entry object is a header of fixed size, followed by the payload. Integers are
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
// The payload is the body compressed with zstd, or the body itself if zstd does not
// make it smaller.
//
// Package sign makes and checks the signature. Its purpose is "larder entry v1"; its
// parts are the scope in which the object lies and the 130 bytes before the
// signature. So nobody can move an entry to another action or another scope, or
// change its time or size, without breaking the signature. The signature covers the
// body through the body's SHA-256.
//
// The magic ends in a line break, which a transfer in text mode would change. The
// CRC reveals a flipped bit in the time or the cost, which no other field does.
//
// The version stands in the key of an entry object as well (package cache: v1). A new
// codec needs a new version.
//
// A reader believes no header before it has checked it. [Open] refuses a header that
// is damaged, has another version or another action, or is not signed by a trusted
// key. The [Reader] that Open returns decodes no more bytes than the header
// announces, and reports the end of the body only if the MD5 of the whole payload is
// right. Reader does not check that the body has the SHA-256 that the output ID
// promises. The caller must check that when it stores the body.
package entry
