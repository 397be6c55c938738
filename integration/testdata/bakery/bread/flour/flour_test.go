package flour

import "testing"

func FuzzGrind(f *testing.F) {
	f.Add([]byte("rye"))
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, grain []byte) {
		if n := len(Grind(grain)); n != len(grain) {
			t.Errorf("%d grains gave %d", len(grain), n)
		}
	})
}
