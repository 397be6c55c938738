// Package collect removes from a remote what nobody needs any more: manifests of builds
// that nobody does any more, packs that no manifest names, and old entry objects.
//
// [Run] may be called while builds read and publish, on any machine, and by several at
// once. It can be killed at any moment. What it must not break is that a manifest names
// packs that are there. So it removes a manifest before its packs. It lists the packs
// first, then reads the manifests, and looks for new ones again before each batch of
// packs that it removes. A pack that was written within [Grace] may be that of a
// publication which has not written its manifest yet, and stays. What a manifest of this
// run has named stays, too, even if a later one does not name it.
//
// A manifest only ever protects packs. How old it is is for the store to say. So a forged
// one takes nothing away. A manifest that can't be read protects every pack of its scope,
// be it damaged, of a later version, or signed by nobody who is trusted.
//
// [Daily] is Run for a store that nobody else takes care of.
package collect
