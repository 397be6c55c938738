// Package reapi stores objects in a cache of the Remote Execution API, version 2, as Bazel and
// other build tools use one: bazel-remote, Buildbarn, BuildBuddy, NativeLink or larder serve.
//
// An object's bytes are a blob in the cache's content-addressable storage. The object's key is an
// action in its action cache: the digest of the action is that of the line "larder object" and
// the key, and its result has one output file, named "object", which is the blob. No such action
// runs anywhere. The version of an object is the SHA-256 of its bytes.
//
// A Get asks for the result, which brings a small object along if the server can do that. A large
// one, or a part of one, comes as a stream. A whole object is compared with its SHA-256 before
// its last bytes are given out. A Put uploads the blob, unless the cache has it, and then the
// result. An upload that breaks off begins anew with the next Put.
//
// The API has no conditions, lists and deletes. What nobody uses the server removes by itself;
// an object whose blob it has removed is taken for one that is not there.
package reapi
