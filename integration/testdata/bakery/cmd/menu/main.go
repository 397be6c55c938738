// Menu writes Go, to a file or to stdout.
package main

import (
	"fmt"
	"os"

	"bakery.example/bread/loaf"
)

func main() {
	text := fmt.Sprintf("package board\n\n// Loaf is what one weighs.\nconst Loaf = %d\n", loaf.Bake(1))
	if len(os.Args) < 2 {
		fmt.Print(text)
		return
	}
	if err := os.WriteFile(os.Args[1], []byte(text), 0o666); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
