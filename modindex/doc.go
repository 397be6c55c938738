// Package modindex tells which module indexes other machines may use.
//
// While the go command loads packages it makes indexes, which are entries of its cache
// like others. It indexes a whole module only in the module cache, where a version has one
// content. Everywhere else it indexes single packages: of the main module, a workspace, a
// replaced folder, a vendor folder and GOROOT. The key of such an index holds paths, sizes
// and modification times, and nothing of the content. Where all times are equal, as in Nix,
// in layers of containers and after SOURCE_DATE_EPOCH, another machine asks by the same key
// for other content. So an index of a package stays on its machine. The key of a module's
// index holds the module's folder, and so its version. By that [IsOfModule] tells the index
// of a module that has one package.
//
// # The standard library
//
// There is one exception. A release of Go gives all its files one modification time, which
// stands in GOROOT's file VERSION, beside the version. If all files of a folder in GOROOT
// have that time, they are as the release has them: whoever changes a file gives it another
// time, be it that of the change or one that many files get later. [IsOfRelease] computes the
// key of such a folder as the go command does, and compares.
//
// What that does not notice is a file that somebody has changed, without a change of its
// size, and then given the time of the release on purpose. The go command does not notice
// it, either.
//
// # The format
//
// An index begins with the line "go index v2". Then come numbers of four bytes each, the
// least significant first: the offset of the strings and how many packages there are, and for
// each package its folder, as an offset in the strings, and an offset. The strings stand
// at the end, each behind its length as a varint. The first one is empty. Go's
// cmd/go/internal/modindex has the rest.
package modindex
