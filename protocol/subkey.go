package protocol

import "crypto/sha256"

// Subkey returns the action that the go command derives from a for the thing of that name
// that it keeps beside a's body, such as what the compiler has printed. It is the function
// Subkey of the go command's package cache.
func (a ActionID) Subkey(name string) ActionID {
	b := append(make([]byte, 0, 64), "subkey:"...)
	b = append(b, a[:]...)
	b = append(b, name...)
	return sha256.Sum256(b)
}
