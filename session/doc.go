// Package session owns what sessions leave on disk. What is still to be done survives the
// process. Below the directory of a local tier it keeps
//
//	larder/sessions/<start, Unix nanoseconds>-<process ID>/
//	    lock      locked by the process that owns the session
//	    journal   what the session has still to do; see below
//	    upload-*  entry objects and packs on their way out
//	    lazy/     files that were given out by a manifest alone
//	larder/remotes/<hash of a remote's URL>.<fact>
//	    what sessions remember of a remote; see [Memory]
//
// A session whose lock is free belongs to a process that is gone. Who takes the
// lock takes the session over, and does what its journal says.
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
//	bring                                    the local tier is to get what the manifest names
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
