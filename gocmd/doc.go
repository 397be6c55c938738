// Package gocmd finds out which go command started this process, and whether that
// command reads more than the heads of the archives that it has cached.
//
//	cmd, err := gocmd.Parent()
//	if err == nil {
//		err = cmd.HeadsOnly()
//	}
//	lazy := err == nil // otherwise err says, for people, why not
//
// # What reads an archive
//
// The archive of a compiled package begins with a head: a few lines that end with the
// build ID. On a hit the go command reads the head and the size of the file. From these
// it works out the key under which it asks for the next package. Only the compiler, the
// linker and vet read a whole archive, and only archives that the go command has been
// given before. So a helper may give out archives that have only their heads. It must
// complete them before it answers a get in a way that lets one of these tools run: with
// a miss, or with an error, which the go command takes for a miss.
//
// This is safe if a get that misses precedes each run of a tool, and if nobody else
// reads archives: no action copies an archive, and no other program is told the paths.
// Command.HeadsOnly says so for verbs, flags and versions in one table. The table has
// those for which cmd/go's sources were read. HeadsOnly returns an error for anything
// else.
//
// # What a helper has to ensure
//
// The go command takes some hits for misses and tells nobody. It then runs a tool
// without another get. So a helper that gives out heads must not cause that by
//
//   - a file that does not exist, or whose size differs from the answer;
//   - an archive whose build ID is not in the first 1024 bytes;
//   - an OutputID that is too short, or an answer without a path.
//
// The go command keeps using a file that it was given, even if a later answer names
// another file for the same OutputID. So the helper has to complete that very file.
// Afterwards the helper must not write to it again, because the linker maps it.
//
// A miss need not mean that archives are read. Each vet of a main package asks for an
// archive, goes on without it, and never puts it.
//
// # Commands that start commands
//
// A shell, make, or a program under go run may stand between a person and the go
// command. The parent is always the go command that wants the cache, since that starts
// the helper itself. If something else has started the helper, such as a wrapper,
// Parent returns an error.
//
// A go command may also start another one: go test runs a test that runs go build. The
// program between them often compares what the inner command prints. Nested tells a
// helper so, and where the outermost one runs: what a test builds in a temporary folder is for
// nobody else.
package gocmd
