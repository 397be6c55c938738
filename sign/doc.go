// Package sign makes and checks the signatures of objects in a remote, and owns the
// text form of keys.
//
// A key is one line: its kind, a colon and base64.
//
//	ed25519-secret:<32 bytes>    signs; it is the seed of RFC 8032
//	ed25519:<32 bytes>           checks what its secret has signed
//	hmac:<32 to 64 bytes>        signs, and checks
//
// Everybody who can check signatures with an hmac key can also sign with it. So an
// hmac key keeps out those who do not have it, but does not tell those who have it
// apart. In a file of keys, blank lines and lines that begin with # are ignored.
//
// The ID of a key is the first 8 bytes of the SHA-256 of its kind with the colon, a
// line break, and the bytes of the key. The two keys of a pair have the ID of the
// public one. An ID only says which key to try: the kind of the trusted key decides
// how a signature is checked, never the signed object, so no kind can pass for
// another.
//
// A signature covers a message, which consists of a purpose and parts. Each of them is
// preceded by its length as a uvarint, so that what is signed for one purpose or one
// scope never reads as something else. An Ed25519 key signs this message. An hmac key's
// signature is the HMAC-SHA256 of the message, followed by 32 zeros.
package sign
