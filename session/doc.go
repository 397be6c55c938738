// Package session owns what sessions leave on disk. What is still to be done survives the
// process. Below the directory of a local tier it keeps
//
//	larder/sessions/<session>/   a session under way
//	    lock      locked by the process that owns the session
//	    over      its input has ended, and it finishes its work
//	    journal   what the session has still to do; see below
//	    upload-*  entry objects and packs on their way out
//	    lazy/     files that were given out by a manifest alone
//	larder/sessions/gone-*       a session that is being removed
//	larder/journals/<session>    what a session that has ended left to do
//	larder/journals/*.lock       locked by the process that does it, for one scope
//	larder/journals/new-*        a journal that is being written
//	larder/remotes/<hash>.<fact>
//	    what sessions remember of a remote or of a scope, whose URL and name are hashed; see
//	    [Memory]
//
// where <session> is <start, Unix nanoseconds>-<process ID>-<kernel>-<namespace>. The last
// two are hex digits: a digest of what tells the run of the kernel from all others, and one
// of the namespace of process IDs.
//
// A session whose lock is free belongs to a process that is gone, if that ran on this
// kernel. Where the file system has no locks, the process ID tells. A session of another
// machine is left alone until no sign of life has come from it for a day; see [List].
//
// When a session ends, its journal moves to larder/journals, and the rest goes. Whoever
// does what is left merges the journals of one target into one. See [Left] and [Trim].
//
// The journal is text. Its header has six lines:
//
//	larder journal v3
//	<remote URL, quoted as in Go>
//	<scope that is written> <each scope that is read>
//	signed | unsigned
//	<module of the profile, quoted>
//	<name of the profile, quoted>
//
// A line for each thing that happened follows:
//
//	<kind> <action ID> <output ID> <cost>    a [Use] is to be published
//	eager <SHA-256 of the command line>      with the uses: the command reads archives
//	published                                no use before this line is to be published any more
//	bring                                    the local tier is to get what the manifest names
//	brought                                  it has got that
//	+ <action ID> <output ID> <cost>         an upload is to be done
//	- <action ID>                            it is done
//
// Costs are those of building the entry, in nanoseconds. Hashes are in hex. A kind is
// one character; see [Kind].
// A "+" is written before the put is answered. An action that is put and uploaded
// several times has several of both. The uses stand in the order in which the
// session asked for them. They are written at the end of the session.
//
// A process may die while it writes a line. A last line without its line break is
// passed over.
package session
