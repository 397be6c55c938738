package main

import (
	"testing"
	"time"
)

// TestLoad is a short run of the command. CONTRIBUTING names the long one.
func TestLoad(t *testing.T) {
	report, err := run(config{clients: 16, objects: 400, time: time.Second})
	t.Log(report)
	if err != nil {
		t.Fatal(err)
	}
	if report.refused.Load() == 0 {
		t.Error("no request met the server's end: this test shows nothing")
	}
}
