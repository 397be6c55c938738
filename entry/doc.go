// Package entry reads and writes entry objects. An entry object is the one object
// in a remote that holds one cache entry, and small ones that belong to it. So a hit
// costs one request, and a package one object.
//
// An entry object is a header of fixed size, followed by the payload. Integers are
// big-endian.
//
//	offset  size  field
//	     0     8  magic: "larder\r\n"
//	     8     1  version: 1
//	     9     1  codec of the payload: 0 raw, 1 zstd (2 in a referral, 3 in a frame)
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
// # Riders
//
// What the go command keeps under the subkeys of an action, such as what the compiler has
// printed, is small, and is asked for together with the action's own body. It rides in
// the entry object of the action. Such an object has version 2. Its header is longer:
//
//	offset  size  field
//	     8     1  version: 2
//	   122     4  size of the riders in bytes, before compression
//	   126     4  size of the riders in bytes, as they are stored
//	   130    32  SHA-256 of the riders as they are stored
//	   162     8  signer key ID, zero where unsigned
//	   170    64  signature, zero where unsigned
//	   234     4  CRC-32C of the 234 bytes before it
//	   238        riders
//	              payload
//
// All other fields are as in version 1. The riders are compressed with zstd if they are
// stored in fewer bytes than they have. Before compression they are as follows. Integers are
// uvarints in their shortest form.
//
//	number of riders, and for each, in the order of their names
//	    length of its name, name: that of the subkey, up to 255 bytes
//	    time of the original put, Unix nanoseconds
//	    build cost in nanoseconds, at most an hour
//	    size of its body in bytes, at most 64 KiB
//	for each rider
//	    body
//
// All of that takes at most 256 KiB. The action of a rider is computed from the action of the
// object and the name, by [protocol.ActionID.Subkey], and its output ID from its body. So an
// object can bring riders for subkeys of its own action only, and only with bodies that have
// the SHA-256 they are stored under. The riders stand before the payload, so who wants
// them alone asks for the beginning of the object.
//
// An object without riders has version 1. A reader that knows version 1 only takes an object
// of version 2 for none of its own.
//
// # Referrals
//
// A body that lies in a pack need not lie in an entry object, too. A referral is an entry
// object without a body: it says which manifest names the pack. It has version 3, the header
// of version 2, and codec 2. Its payload is the reference: the key of the manifest below the
// scope of the object, of up to 1024 bytes (packages cache and pack). All fields on the body
// are as if the body were there. A referral may have riders; if it has none, the three fields
// on them are zero. A reader that does not know version 3 takes a referral for none of its own.
//
// # Frames
//
// Entry objects in packs stand in frames (package pack). A frame is compressed as a whole,
// so its objects are not: they have version 4, the header of version 1, and codec 3. The
// payload is the body. It has no MD5, and that field is zero: who reads the object hashes
// the body anyway, for its output ID. Objects of version 4 stand nowhere else, and no other
// objects stand in frames.
//
// # Signatures and checks
//
// Package sign makes and checks the signature. Its purpose is "larder entry v1", v2, v3 or v4; its
// parts are the scope in which the object lies and the bytes before the
// signature. So nobody can move an entry to another action or another scope, or
// change its time or size, without breaking the signature. The signature covers the
// body and the riders through their SHA-256.
//
// The magic ends in a line break, which a transfer in text mode would change. The
// CRC reveals a flipped bit in the time or the cost, which no other field does.
//
// A new codec needs a new version.
//
// A reader believes no header before it has checked it. [Open] refuses a header that
// is damaged, has another version or another action, or is not signed by a trusted
// key. The [Reader] that Open returns decodes no more bytes than the header
// announces, and reports the end of the body only if the MD5 of the whole payload, where
// it has one, is right. The riders are checked when Open returns. A caller installs them only once the
// body is in place: an object is good as a whole or not at all.
// Reader does not check that the body has the SHA-256 that the output ID
// promises. The caller must check that when it stores the body.
package entry
