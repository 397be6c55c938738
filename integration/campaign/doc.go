// Command campaign builds a small module with larder while everything that can go wrong
// does, and checks that nobody notices:
//
//	go run ./integration/campaign -faults 1000 -seed 7
//
// A campaign is made of rounds. In a round two machines share a remote, one scope or
// two, and a checkout. Each build of a round edits the module, draws a go command and a
// fault, builds without larder, and then with larder while the fault lasts. Both must
// come to the same exit status, output and program; the second must not take longer than
// its budget and a generous allowance; and each body in the local tier must be whole. At
// the end of a round all is well again: larder flush leaves no journal, the objects in
// the remote are intact, and a fresh machine compiles nothing, out of the manifest alone.
//
// A round depends on the seed and its number alone, as far as time allows: what is drawn
// is always the same, but not when it meets the build. The campaign prints for each
// failure how to repeat its round.
//
// Servers are real, behind toxiproxy: versitygw, with a gate that answers in its place, and
// Azurite, as the storage of GitHub's cache service. What this machine can't have is left out, and said: kills and small disks
// want Linux, the disks root as well.
package main
