// Baker shows the sign.
package main

import (
	"fmt"
	"os"

	"bakery.example/sign"
)

var name = "nobody"

func main() {
	fmt.Print(name, ": ", sign.Text())
	if len(os.Args) > 1 {
		fmt.Println(os.Args[1:])
	}
}
