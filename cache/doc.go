// Package cache is the engine: it answers a session's requests from the local
// tier and the remote, and brings what the session puts to the remote.
//
// At the start of a session the manifest of its profile says what the build will
// ask for, and a prefetch brings that to the local tier in a few large requests.
// A get goes to the local tier; what is not there is waited for, if the manifest
// promises it, or else looked up in the remote, brought into the local tier and
// answered from there. A put goes to the local tier and is answered; its upload
// is noted in the session's journal and done in the background. Close ends the
// session and publishes what it used, for the next ones; and [Flush] does what
// sessions have left, in whichever process.
//
// A session writes one scope, and reads several. A [Policy] says how what it writes
// is signed, whose signatures it believes, and what stays local for what is in it.
//
// Where the go command is known to read no more of archives than their heads, as
// long as everything is cached, the manifest's heads are all that is brought of
// them; the first miss has the bodies follow, and waits for those that were given
// out.
//
// The remote can make a session slower by its budget and no more, and can make
// it fail in no way but one: whatever goes wrong there is a miss, or an upload
// that stays in the journal, and one warning. The one is that bodies of archives
// that were given out by their heads are lost, and that the go command can't
// compile them again.
//
// The package owns the keys under the user's prefix
//
//	v1/<scope>/a/<xx>/<action id>     entry object
//	v1/<scope>/p/<xx>/<pack id>       pack
//	v1/<scope>/m/<module>/<profile>   manifest, both names escaped as in a URL's query
//	v1/<scope>/m/<module>/@latest     name of the profile that was published last
//
// and three folders in the local tier's directory: larder/sessions, with the
// journals (session and journal say how they look); larder/manifests, with copies of
// manifests, the locks under which they are prefetched, and the marks that [Restore]
// leaves for [Save]; and larder/withheld, with marks of what must not leave.
package cache
