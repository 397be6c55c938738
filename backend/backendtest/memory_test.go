package backendtest_test

import (
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
)

func TestMemory(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store { return backendtest.Memory() })
}

func TestAppending(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store { return backendtest.Appending() })
}

func TestFaultyWithoutFaults(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backend.Store {
		return backendtest.Faulty(backendtest.Memory(), func(op, key string) backendtest.Fault { return backendtest.Fault{} })
	})
}
