// Package gocmd knows what the go command that started this process is doing,
// and whether that reads no more of the archives it has cached than their heads.
//
//	cmd, err := gocmd.Parent()
//	if err == nil {
//		err = cmd.HeadsOnly()
//	}
//	lazy := err == nil // otherwise err says, for people, why not
//
// # What reads an archive
//
// The archive of a compiled package begins with a head: a few lines that end
// with the build ID. On a hit the go command reads that, and the size of the
// file, to work out under which key to ask for the next package. All of an
// archive is read by the compiler, the linker and vet only, of packages that the
// go command has been given already. So a helper may give out archives of which
// only the head is there, as long as it fills them before it answers a get in a
// way that lets one of these tools run: with a miss, or with an error, which to
// the go command is the same.
//
// That holds where each run of a tool has a get of its own that misses just
// before, and where nobody else reads archives: no action that copies one, no
// program that is told the paths. Command.HeadsOnly says so for those verbs,
// flags and versions for which cmd/go's sources were read, in one table. What is
// not in the table is not known, and an error.
//
// # What a helper has to see to
//
// The go command takes some hits for misses and tells nobody. It then runs a
// tool without another get, so a helper that gives out heads must not cause one:
//
//   - a file that is not there, or has not the size of the answer;
//   - an archive whose build ID it cannot read in the first 1024 bytes;
//   - an OutputID that is too short, or an answer without a path.
//
// What was given out stays in use until the end, even if a later answer names
// another file for the same OutputID: it has to be filled where it is. And it
// must not be written to again once that is done, since the linker maps it.
//
// A miss need not mean that archives are read. Each vet of a main package asks
// for an archive that it then does without, and that is never put.
//
// # Commands that start commands
//
// A shell, make, or a program under go run may stand between a person and the go
// command; the parent is always the go command that wants the cache, as it
// starts the helper itself. Where it does not (a wrapper around the helper, say)
// Parent returns an error.
package gocmd
