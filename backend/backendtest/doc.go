// Package backendtest has what tests of stores, and tests that use a store, need.
// [Run] is the suite that every driver passes on a real server. [RunAnswers] tests
// drivers that speak HTTP with answers that no real server gives. [RunFaults] tests
// them on a connection that breaks. [Memory] is a store in memory. [Faulty] is a
// store with faults that the test chooses.
package backendtest
