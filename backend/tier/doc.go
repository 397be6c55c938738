// Package tier puts a folder on this machine in front of a store, for a server that many
// clients share: what one of them has read, the others get from the folder, and what they
// write is stored while they go on.
//
// The way of a Get: an object that the tier knows is read from its file. What is missing there
// is asked for once, in blocks, however many readers wait for it; they get each block as it
// comes (get.go, fetch.go). That there is no object is known, too. What is known holds for a
// minute, unless the key says that its object never changes. Then the tier asks the store
// whether the object has changed. If the store does not answer within seconds, or lets nobody in,
// the tier believes for another minute what it has. A request that nobody waits for any more brings
// a few blocks more, and ends.
//
// The way of a Put: the body goes to a file, and the caller may go on. The object is stored
// later, again and again until that succeeds, also by the next process (put.go, upload.go). Its
// version is the tier's own, as long as the tier has it; afterwards a condition with that version
// fails. A Put with a condition waits for the store, whatever was to be stored under its key first;
// so does each Put while too much is waiting.
//
// An object that the store does not take keeps waiting, and a List of what is under its prefix
// fails. With Config.ReadOnly, what is waiting can be read, and waits for a process without that. Files are not synced: what waits outlives the process, but not a power failure.
//
// So what goes through one tier is seen by all who read through it, at once. Writers that
// use the store itself are seen a minute later. Conditions hold for all of them.
//
// The folder is one process's, which locks it. It holds a file for each object, a file .json
// with what is known of that, and the lock. The objects that were not read for the longest time
// make room (evict.go). If a file can't be written, as on a full disk, or is damaged, requests go to
// the store itself, and so do those for objects that are larger than the tier. Only what is not
// stored yet can't be had then.
package tier
