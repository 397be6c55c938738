// Package pack reads and writes packs and manifests, the two kinds of object that
// bring a build what it will ask for in a few large requests. A pack holds many entry
// objects. A manifest says what the last builds of a profile used, and in which packs
// that lies.
//
// # Packs
//
// A pack is a sequence of frames of zstd. Each unpacks to a sequence of entry objects
// (package entry), with nothing before, between or behind them: the bodies of a build have
// much in common, and are smaller together. A frame unpacks to at most 4 MiB, unless it holds
// one object alone, and has a window of at most 4 MiB. An entry object ends where a block of
// its frame ends. So the bytes from the beginning of the frame to the end of that block are
// enough to read it. The frames have no checksum.
//
// The ID of a pack is the SHA-256 of its bytes; it never changes. The entry
// objects stand in the order in which a build first asked for them, except that
// archives stand behind everything else, in frames of their own: a build that reads only the
// heads of archives does not download that part of the pack.
//
// # Manifests
//
// A manifest is a header of fixed size, followed by a payload, which is compressed
// with zstd. Integers in the header are big-endian.
//
//	offset  size  field
//	     0     8  magic: "larder\r\n"
//	     8     1  'm'
//	     9     1  version: 5
//	    10     8  size of the decompressed payload in bytes
//	    18     8  size of the compressed payload in bytes
//	    26    32  SHA-256 of the compressed payload
//	    58     8  signer key ID, zero where unsigned
//	    66    64  signature, zero where unsigned
//	   130     4  CRC-32C of the 130 bytes before it
//	   134        compressed payload
//
// Package sign makes and checks the signature. Its purpose is "larder manifest v5"; its
// parts are the scope in which the manifest lies, its key below that scope, and the 66
// bytes before the signature. So nobody can move a manifest to another scope, module
// or profile without breaking the signature. The signature covers the payload through
// the payload's SHA-256.
//
// The payload, before its compression, is as follows. Integers are uvarints in their
// shortest form; those marked zigzag may be negative, as binary.AppendVarint writes
// them.
//
//	day of the publication, days since the epoch
//	day by the clock that advanced the day of the publication last
//	day by the last publisher's clock, if it is far from that, or 0
//	number of packs, and for each
//	    length of its scope, scope
//	    ID, 32 bytes
//	    size in bytes
//	    1 if this profile wrote it, or 0
//	number of eager commands, and for each
//	    SHA-256 of its command line, 32 bytes
//	    day of the last use, days since the epoch
//	number of entries, and for each
//	    0 if its action ID is listed below; otherwise the action is a subkey of
//	        another entry's action: 1 + index of the subkey's name in "stdout",
//	        "srcfiles", "link-stdout", and how many entries further the other
//	        entry stands, zigzag
//	    size of the body in bytes
//	    time of the original put, Unix nanoseconds less those of the entry
//	        before, zigzag
//	    build cost in nanoseconds, at most an hour
//	    day of the last use, days since the epoch
//	    1 + index of its pack, or 0
//	    in a pack: offset and length in bytes of the part of its frame that
//	        unpacks to its entry object, how many bytes before that the frame
//	        begins, how many bytes the frame unpacks to before the object, length
//	        of the body's head (0 if the body is no archive)
//	for each entry
//	    action ID, 32 bytes, unless it is a subkey
//	    in a pack: output ID, 32 bytes
//	for each entry
//	    in a pack: head; otherwise: the body
//
// A manifest leaves out hashes that the reader can compute, because hashes do not
// compress. The output ID of a body in the manifest is the body's SHA-256. The go
// command's subkey of an action is the SHA-256 of "subkey:", the action ID and the
// subkey's name; that action must not be a subkey itself.
//
// Entries stand in the order in which a build first asked for them. Small bodies,
// which are most of them, stand in the manifest itself, so they need neither a range
// request nor a lookup. The writer decides which, up to [MaxInline] bytes each.
//
// The version stands in the key of a manifest as well (package cache), so one larder does
// not meet the manifests of another version. A reader that finds a later version all the
// same leaves the object alone. Whoever changes the format of entry objects changes the
// version of manifests, too, which name them.
//
// A reader accepts a manifest whole or not at all. [Decode] refuses a manifest whose
// digest or signature is wrong. It also refuses one that names an action twice, names
// a scope that [CheckScope] refuses, has an entry object outside its pack or frame, or two
// that overlap, or has a number that is not in its shortest form. What an entry promises is
// checked once more when the entry is fetched.
package pack
