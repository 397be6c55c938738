package backend

// Traits are what callers have to know about a kind of store before they use it. They
// follow from the URL of a store. The zero Traits are those of a bucket.
type Traits struct {
	// Scarce says that few requests are allowed, or that each costs much. Such a store is
	// no place for many small objects.
	Scarce bool

	// Ownerless says that the store has only users, and nobody else who removes what is
	// old.
	Ownerless bool

	// Unconditional says that there are no conditional Puts: they fail with
	// ErrNoConditions. The Object that a Put returns may have no version, and two objects
	// that were put under one key within a second may have the same.
	Unconditional bool

	// Unlisted says that there is neither List nor Delete: they fail with ErrUnsupported.
	Unlisted bool

	// Appends says that a Put replaces nothing: it adds an object beside those that have
	// the same key, and Get returns the newest one. Get of a key that ends with a slash
	// returns the newest object of all whose keys begin so. Its Object says which.
	Appends bool

	// UnreadDays is for how many days the store keeps what nobody reads. 0: for as long as
	// nobody deletes it.
	UnreadDays int
}
