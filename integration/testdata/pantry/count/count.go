// Package count adds in assembly where it knows how.
package count
