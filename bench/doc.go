// Package bench measures what larder gives to one build: the same go command
// without a cache, with the go command's own, and with larder from a machine
// that has nothing but the remote, and what else could be done with such a
// remote. It runs the real go command and the real helper, in turn and several
// times, and takes medians.
//
// All that it writes lies in one temporary folder and in one part of the remote,
// and is gone when Run returns, however it returns. A file that is to be edited
// is never touched: the go command is given an overlay, which has the same
// effect on its keys and needs no restoring, not even after a power cut.
package bench
