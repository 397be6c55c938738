// Readers prints what go/packages makes of the packages that the go command's
// arguments name: their types, from what was exported, and the digest of that.
// It stands for all tools that read export data when the go command has ended.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"

	"golang.org/x/tools/go/packages"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(patterns []string) error {
	all, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedDeps | packages.NeedExportFile | packages.NeedTypes | packages.NeedTypesSizes,
		Tests: true,
	}, patterns...)
	if err != nil {
		return err
	}
	for pkg := range packages.Postorder(all) {
		fmt.Println(pkg.ID)
		for _, err := range pkg.Errors {
			fmt.Println("\terror:", err)
		}
		if pkg.ExportFile != "" {
			data, err := os.ReadFile(pkg.ExportFile)
			if err != nil {
				return err
			}
			fmt.Printf("\t%x\n", sha256.Sum256(data))
		}
		for _, file := range pkg.CompiledGoFiles {
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			fmt.Printf("\t%x %d\n", sha256.Sum256(data), len(data))
		}
		if pkg.Types == nil {
			continue
		}
		for _, name := range pkg.Types.Scope().Names() {
			fmt.Println("\t" + pkg.Types.Scope().Lookup(name).String())
		}
	}
	return nil
}
