// Package board is generated, by programs that are built for it and by the go
// command itself.
package board

//go:generate go run bakery.example/cmd/menu zz_menu.go
//go:generate go build -o town.a bakery.example/bread/town
//go:generate go list -f {{.Name}} bakery.example/bread/...
//go:generate go vet bakery.example/bread/...
