// Package gocmd finds out which go command has started this process, and whether
// that command reads only the heads of the archives that it gets as hits.
//
//	cmd, err := gocmd.Parent()
//	if err == nil {
//		err = cmd.HeadsOnly()
//	}
//	lazy := err == nil // otherwise err says, for people, why not
//
// # What reads an archive
//
// The archive of a compiled package begins with a head: a few lines that end with
// the build ID. After a hit the go command reads the head and the size of the file,
// to compute the action ID of the next package. Only the compiler, the linker and vet
// read whole archives, and only archives that the go command already has. So a helper
// may give out archives that have only a head. It must fill them before an answer
// lets the go command run one of these tools. Such an answer is a miss, or an error,
// which the go command treats as a miss.
//
// This is true if a get that misses comes just before each run of a tool, and if
// nothing else reads archives: no action copies one, and no other program learns the
// paths. Tables say for which verbs, flags and versions it is true; for them the
// sources of cmd/go were read. [Command.HeadsOnly] returns an error for everything
// that is not in the tables.
//
// # What a helper must take care of
//
// The go command treats some hits as misses, and does not tell the helper. Then it
// runs a tool without another get. So a helper that gives out heads must never answer
// with:
//
//   - a file that does not exist, or does not have the size in the answer;
//   - an archive whose first 1024 bytes do not contain the build ID;
//   - an OutputID that is too short, or no path.
//
// The go command uses a file that it was given until it ends, even if a later answer
// names another file for the same OutputID. So the helper must fill the file in its
// place. Nothing may write to the file after that, because the linker maps it.
//
// The go command may miss without reading archives. A vet of a main package asks for
// an archive that it does not need, and never puts it.
//
// # Commands that start commands
//
// A shell, make, or a program under go run may have started the go command. The parent
// of this process is still the go command that uses the cache, because that command
// starts the helper. If another program has started the helper, such as a wrapper,
// [Parent] returns an error.
package gocmd
