// Package cache is the engine: it answers a session's requests from the local
// tier and the remote, and brings what the session puts to the remote.
//
// A get goes to the local tier; what is not there is fetched from the remote
// into the local tier and answered from there. A put goes to the local tier and
// is answered; its upload is noted in the session's journal and done in the
// background. Close ends the session, and [Flush] does what sessions have left,
// in whichever process.
//
// The remote can make a session slower by its budget and no more, and can make
// it fail in no way: whatever goes wrong there is a miss, or an upload that
// stays in the journal, and one warning.
//
// The package owns the keys under the user's prefix
//
//	v1/<scope>/a/<xx>/<action id>     entry object
//
// and the folder larder/sessions in the local tier's directory, with the
// journals; session and journal say how they look.
package cache
