//go:build !amd64 && !arm64

package count

// Add returns a + b.
func Add(a, b int64) int64 { return a + b }
