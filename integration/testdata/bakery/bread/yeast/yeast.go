// Package yeast works in assembly where it knows how.
package yeast
