// Package secrets finds secrets in the bodies of a build's entries, before they are
// uploaded. Test output and the constants of programs sometimes hold what was given to
// the build in confidence. The package searches for two kinds of secret: the values of
// environment variables, and well-known shapes.
//
// It searches every body for the value of a variable if
//
//   - the variable's name contains TOKEN, SECRET, PASSWORD, KEY or CREDENTIAL, in
//     any case; of a variable whose name ends with HEADERS, such as a=b,c=d, it searches
//     for each value, and of a URL for the password in it,
//   - the value has 8 or more bytes, not counting white space around it,
//   - the value is not ordinary: its strength is at least 28 bits, as SECURITY.md
//     counts them, and
//   - the value is not the absolute path of a file or folder that exists, as far as its
//     file system answers in time. The path of
//     a file of keys is not secret, and an archive that was built without -trimpath
//     is full of paths.
//
// It searches for a value of several lines as a whole. If the lines end in CR LF, it
// also searches for the value with LF. It does not find a value that is encoded:
// neither base64, nor compressed data, nor a quoted value with escaped line breaks.
//
// It searches a body for well-known shapes, such as private keys and the tokens of the
// big forges, unless the body is an archive, a program or a module index: a package
// may well have the beginning of a PEM block among its constants. A shape is
// recognized by its form alone, so that the example in a manual is found, too. Finding
// too much costs a rebuild; finding too little costs a secret.
package secrets
