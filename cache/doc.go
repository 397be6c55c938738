// Package cache is the engine. It answers a session's requests from the local tier
// and the remote, and brings what the session puts to the remote.
//
// At the start of a session the manifest of its profile says what the build will ask
// for, and a prefetch brings that to the local tier in a few large requests. A get
// goes to the local tier first. If that lacks the entry and the manifest promises it,
// the get waits for the prefetch. Otherwise a lookup asks the remote, brings the entry
// to the local tier, together with what rides in its object, and the get is answered from
// there. The entry object may be a referral to another manifest: then the entry comes out of a
// pack that this one names, and so does whatever else it promises, once a get asks for it. A put goes to the local tier and is answered. Its upload is noted in the session's journal and done in the
// background. Close ends the session, and publishes what it used for the next ones.
// [Flush], in any process, does what sessions have left.
//
// A session writes one scope and reads several. A [Policy] says how the session signs
// what it writes, whose signatures it believes, and which secrets keep an entry local.
//
// A session may do without entry objects. Then it reads the manifests of the module's other
// profiles, too, and fetches what they promise by need. What it puts becomes part of a pack
// when it is published, and nothing else.
//
// Some go commands read only the heads of archives as long as everything is cached.
// For them a lazy session brings no archives, and gives out the heads that stand in
// the manifest. The first miss brings the bodies, and is answered once all archives
// that were given out are whole.
//
// The remote can make a session slower, up to its budget. Whatever goes wrong there is
// a miss, or an upload that stays in the journal, and one warning. In one case it makes
// the go command fail: the remote has lost the bodies of archives that were given out
// by their heads, and the go command can't compile them again.
//
// The package owns the keys under the user's prefix:
//
//	v1/<scope>/a/<xx>/<action id>        entry object
//	v1/<scope>/p/<xx>/<pack id>          pack
//	v1/<scope>/m/v5/<module>/<profile>   manifest, both names escaped as in a URL's query
//	v1/<scope>/m/v5/<module>/@profiles   roster: the profiles, the one published last first
//	v1/<scope>/l/<module>/<profile>      lease: who rewrites the profile's packs
//	v1/@gc                               when package collect was last at work, in a directory
//
// The first version in a key is that of the keys, the second that of manifests. So one
// version of larder neither reads nor replaces manifests of another one. The version of an
// entry object stands in its header, so that a lookup is one request. Each line of a
// roster is a profile's name, escaped as in a key; there are 16 at most.
//
// It also owns two folders in the local tier's directory: larder/manifests, with copies of
// manifests and rosters, the locks that let one process at a time fetch what they promise, and what
// [Restore] notes for [Save]; and larder/withheld, with the marks of entries that stay
// local. Package session owns two others. [Sweep] removes from them what is old.
package cache
