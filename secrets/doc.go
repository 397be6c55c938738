// Package secrets finds what must not leave a machine in the bodies of a build's
// entries, before they are uploaded: test output and the constants of programs
// hold now and then what was given to the build in confidence.
//
// Two things count. The values of environment variables are searched in every
// body, where
//
//   - the variable's name contains TOKEN, SECRET, PASSWORD, KEY or CREDENTIAL, in
//     any case,
//   - the value, without white space around it, has 8 or more bytes, and
//   - it is not the absolute path of a file or folder that exists: whoever knows
//     the path of a file of keys has no key, and an archive built without
//     -trimpath is full of paths.
//
// A value of several lines is searched whole, and where they end in CR LF, with
// LF as well. Nothing encoded is found: no base64, no compressed data, no value
// in quotes with its line breaks escaped.
//
// Well-known shapes, such as private keys and the tokens of the big forges, are
// searched in what is no archive, program or index of a module: a package may well
// have the beginning of a PEM block among its constants. A shape is matched
// by its form alone, so that the example in a manual counts as well; that costs a
// rebuild, and the other mistake a secret.
package secrets
