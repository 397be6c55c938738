// Package pack owns the two objects that bring a build what it will ask for in
// a few large requests: the pack, which holds many entry objects, and the
// manifest, which says what a profile's last builds used and where it lies.
//
// A pack is entry objects (package entry) back to back, in the order in which a
// build first asked for them, and nothing else. Its ID is the SHA-256 of its
// bytes; it never changes. Archives stand behind everything else, as a build that
// reads no more than their heads does without them.
//
// A manifest is a header of fixed size, then a payload, compressed with zstd.
// Integers of the header are big-endian.
//
//	offset  size  field
//	     0     8  magic: "larder\r\n"
//	     8     1  'm'
//	     9     1  version: 3
//	    10     8  size of the decompressed payload in bytes
//	    18     8  size of the compressed payload in bytes
//	    26    32  SHA-256 of the compressed payload
//	    58     8  signer key ID, zero where unsigned
//	    66    64  signature, zero where unsigned
//	   130     4  CRC-32C of the 130 bytes before it
//	   134        compressed payload
//
// The signature is package sign's, for the purpose "larder manifest v3", of the
// scope in which the manifest lies, its key below that, and the 66 bytes before the
// signature: a manifest can't be moved to another scope, module or profile. What its
// heads and bodies are is covered by the payload's digest.
//
// The payload, in which integers are uvarints in their shortest form:
//
//	number of packs, and for each
//	    length of its scope, scope
//	    ID, 32 bytes
//	    size in bytes
//	    1 if this profile wrote it, or 0
//	number of eager commands, and for each
//	    SHA-256 of its command line, 32 bytes
//	    day of the last use, days since the epoch
//	number of entries, and for each
//	    0 if its action ID stands below; otherwise, where that is a subkey of
//	        another entry's, 1 + index of "stdout", "srcfiles" or "link-stdout",
//	        and how many entries further the other one stands, zigzag
//	    size of the body in bytes
//	    time of the original put, Unix nanoseconds less those of the entry
//	        before, zigzag
//	    build cost in nanoseconds, at most an hour
//	    day of the last use, days since the epoch
//	    1 + index of its pack, or 0
//	    in a pack: offset and length of its entry object in bytes, length of
//	        the body's head (0 where it is no archive)
//	for each entry
//	    action ID, 32 bytes, unless it is a subkey
//	    in a pack: output ID, 32 bytes
//	for each entry
//	    in a pack: head; otherwise: the body
//
// What can be computed does not stand in it, as hashes are what no compression makes
// smaller: the output ID of a body that does is its SHA-256, and the go command's
// subkey is the SHA-256 of "subkey:", the other action ID and the name. The other
// one is no subkey itself.
//
// Entries stand in the order in which a build first asked for them. Small bodies,
// the most by number, stand in the manifest itself: they cost no range and no
// lookup. Whoever writes it decides which, up to [MaxInline] bytes each.
//
// A manifest is believed only whole. One whose digest or signature is wrong, that
// names an action twice, a scope that can't be one, a range outside its pack or
// two ranges that overlap, or that has numbers in any but their shortest form, is
// refused before anything is made of it. What its entries
// promise is checked again, entry by entry, when they are fetched.
package pack
