// Command load has many clients use larder serve at once, and checks all that they get:
//
//	go run ./integration/load -clients 64 -objects 10000 -for 60s
//
// Each client puts objects of its own and reads those of all others, by all interfaces: a third of
// them over gRPC, as the driver for caches of the Remote Execution API does. Halfway the server is
// killed and starts again. Then every object is whole or absent, and whoever was told that an
// object is stored finds it. With -tier that holds behind the tier, too.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	var c config
	flag.IntVar(&c.clients, "clients", 64, "how many clients there are at once")
	flag.IntVar(&c.objects, "objects", 10_000, "how many objects they put, at least")
	flag.DurationVar(&c.time, "for", time.Minute, "how long they go on, at least")
	flag.BoolVar(&c.tier, "tier", false, "the server has a tier of "+tierSize+" in front of its store")
	flag.Parse()
	if c.clients < 1 || c.objects < 1 || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "load: -clients and -objects must be at least 1, and there are no arguments")
		os.Exit(2)
	}
	report, err := run(c)
	fmt.Println(report)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}
