// Larder is a shared build cache for the go command: a GOCACHEPROG helper over
// a local disk tier and a remote object store. See README.md.
package main

import (
	"os"

	"github.com/larderbuild/larder/cli"
)

func main() {
	os.Exit(cli.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
