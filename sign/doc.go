// Package sign makes and checks the signatures of what lies in a remote, and owns
// the text form of keys.
//
// A key is one line, of a kind and base64:
//
//	ed25519-secret:<32 bytes>    signs; it is the seed of RFC 8032
//	ed25519:<32 bytes>           checks what its secret has signed
//	hmac:<32 to 64 bytes>        signs, and checks
//
// Whoever can check with an hmac key can sign with it, too: it keeps out those who
// have no key, and tells nobody else's signatures apart. In a file of keys, blank
// lines and those that begin with # count for nothing.
//
// A key is named by its ID: the first 8 bytes of the SHA-256 of its kind with the
// colon, a line break, and its bytes; of a pair, those of the public one. An ID only
// says which key to try. How a signature is checked depends on the key that is trusted, never
// on what is checked, so that no kind passes for another.
//
// What is signed is a purpose and parts, each preceded by its length as a
// uvarint: nothing signed for one purpose or in one place reads as another. An
// Ed25519 signature is that of this message; hmac's is its HMAC-SHA256, followed by
// zeros.
package sign
