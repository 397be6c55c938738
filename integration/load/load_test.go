package main

import (
	"testing"
	"time"
)

// TestLoad are short runs of the command. CONTRIBUTING names the long one.
func TestLoad(t *testing.T) {
	t.Parallel()
	for name, tier := range map[string]bool{"store": false, "tier": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := run(config{clients: 16, objects: 400, time: time.Second, tier: tier})
			t.Log(report)
			if err != nil {
				t.Fatal(err)
			}
			if report.refused.Load() == 0 {
				t.Error("no request met the server's end: this test shows nothing")
			}
		})
	}
}
