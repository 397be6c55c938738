// Weigh prints what is in three jars.
package main

import (
	"fmt"

	"pantry.example/weigh"
)

func main() { fmt.Println(weigh.Net(3, 700), "g") }
