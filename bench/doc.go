// Package bench measures how much faster larder makes one build. It runs the same go
// command without a cache, with the go command's own cache, and with larder on a
// machine that has only the remote. It also measures other ways to use such a remote.
// It runs the real go command and the real helper several times, and takes medians.
//
// All that it writes lies in one temporary folder and in one part of the remote. [Run]
// removes it before it returns, also after an error. Run never changes the file to
// edit. It gives the go command an overlay, which has the same effect on action IDs.
// So Run has nothing to restore, not even after a power failure.
package bench
