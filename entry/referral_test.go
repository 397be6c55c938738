package entry_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/sign"
)

const reference = "m/v4/example.com%2Fpantry/linux-amd64"

// refer returns a referral for a body of 3 MB.
func refer(t testing.TB, signer entry.Signer, riders ...entry.Rider) []byte {
	t.Helper()
	h := header([]byte("the body"))
	h.BodySize = 3_000_000
	object, err := entry.EncodeReferral(h, reference, signer, riders...)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// openReferral returns the reference and the riders of an object.
func openReferral(object io.Reader, w entry.Want) (h entry.Header, reference string, riders []entry.Rider, err error) {
	r, err := entry.Open(object, w)
	if err != nil {
		return h, "", nil, err
	}
	defer r.Close()
	return r.Header, r.Reference, r.Riders, nil
}

// A referral has everything but the body, which nobody can read from it.
func TestReferral(t *testing.T) {
	anybody := entry.Want{Action: action, MaxSize: noLimit}
	for _, riders := range [][]entry.Rider{nil, few, many} {
		object := refer(t, entry.Signer{}, riders...)
		h, got, brought, err := openReferral(iotest.HalfReader(bytes.NewReader(object)), anybody)
		if err != nil || got != reference || h.BodySize != 3_000_000 || h.Output != sha256.Sum256([]byte("the body")) || h.ObjectSize() != int64(len(object)) {
			t.Errorf("%+v, %q, %v", h, got, err)
		}
		wantRiders(t, brought, riders)
		if _, body, err := open(bytes.NewReader(object)); len(body) > 0 || !errors.Is(err, entry.ErrCorrupt) {
			t.Errorf("its body is read: %q, %v", body, err)
		}
		if _, brought, err = entry.ReadFront(bytes.NewReader(object[:h.FrontSize()]), anybody); err != nil {
			t.Error(err)
		}
		wantRiders(t, brought, riders)
	}
	if _, _, _, err := openReferral(bytes.NewReader(refer(t, entry.Signer{})), entry.Want{Action: action, MaxSize: 2_999_999}); !errors.Is(err, entry.ErrTooLarge) {
		t.Errorf("a body over the limit: %v", err)
	}
}

func TestEncodeReferralRefuses(t *testing.T) {
	for _, bad := range []string{"", strings.Repeat("m", entry.MaxReference+1)} {
		if _, err := entry.EncodeReferral(header(nil), bad, entry.Signer{}); err == nil {
			t.Errorf("a reference of %d bytes: no error", len(bad))
		}
	}
	if _, err := entry.EncodeReferral(header(nil), reference, entry.Signer{}, few[0], few[0]); err == nil {
		t.Error("a rider twice: no error")
	}
}

// TestGoldenReferral pins the format.
func TestGoldenReferral(t *testing.T) {
	by := entry.Signer{Key: key(t, "ed25519-secret"), Scope: "main"}
	for name, object := range map[string][]byte{
		"referral-v3.golden":        refer(t, entry.Signer{}, few...),
		"referral-signed-v3.golden": refer(t, by),
	} {
		if !bytes.Equal(golden(t, name, object), object) {
			t.Errorf("the encoder writes other bytes than %s", name)
		}
	}
}

// TestDamagedReferral changes each byte of a referral, cuts it at each byte, and appends one:
// it must be refused each time.
func TestDamagedReferral(t *testing.T) {
	object := refer(t, entry.Signer{}, few...)
	wantCorrupt := func(what string, i int, damaged []byte) {
		t.Helper()
		if _, got, _, err := openReferral(bytes.NewReader(damaged), entry.Want{Action: action, MaxSize: noLimit}); !errors.Is(err, entry.ErrCorrupt) {
			t.Errorf("%s %d: %q, error %v", what, i, got, err)
		}
	}
	for i := range object {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			damaged := bytes.Clone(object)
			damaged[i] ^= mask
			wantCorrupt("byte", i, damaged)
		}
		wantCorrupt("cut at", i, object[:i])
	}
	wantCorrupt("a byte behind", len(object), append(object, 'x'))
}

// TestHostileReferral has referrals that are intact but lie.
func TestHostileReferral(t *testing.T) {
	long := []byte(strings.Repeat("m", entry.MaxReference+1))
	for name, test := range map[string]struct {
		change  func(*entry.Header)
		payload []byte
	}{
		"an empty reference":     {func(h *entry.Header) { h.PayloadSize, h.MD5 = 0, md5.Sum(nil) }, nil},
		"a long reference":       {func(h *entry.Header) { h.PayloadSize, h.MD5 = int64(len(long)), md5.Sum(long) }, long},
		"riders of no size":      {func(h *entry.Header) { h.RidersStored = 5 }, []byte(reference)},
		"a digest of no riders":  {func(h *entry.Header) { h.RidersSum[0] = 1 }, []byte(reference)},
		"a body of another size": {func(h *entry.Header) { h.BodySize = -1 }, []byte(reference)},
	} {
		h, err := entry.ParseHeader(refer(t, entry.Signer{}))
		if err != nil {
			t.Fatal(err)
		}
		test.change(&h)
		object := append(h.Append(nil), test.payload...)
		if _, _, _, err := openReferral(bytes.NewReader(object), entry.Want{Action: action, MaxSize: noLimit}); !errors.Is(err, entry.ErrCorrupt) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	// A version with the codec of another one.
	for i, codec := range map[byte]byte{1: 2, 2: 2, 3: 0} {
		object := encodeWith(t, nil, entry.Signer{}, few...)
		if i == 3 {
			object = refer(t, entry.Signer{}, few...)
		}
		object[8], object[9] = i, codec
		if _, err := entry.ParseHeader(reseal(object)); !errors.Is(err, entry.ErrCorrupt) || !strings.Contains(err.Error(), "codec") {
			t.Errorf("codec %d in version %d: error %v", codec, i, err)
		}
	}
}

// TestSignedReferral checks that a signature covers the reference, and counts for referrals
// only.
func TestSignedReferral(t *testing.T) {
	k := key(t, "ed25519-secret")
	object := refer(t, entry.Signer{Key: k, Scope: "main"})
	change := func(f func(*entry.Header), payload string) []byte {
		h, err := entry.ParseHeader(object)
		if err != nil {
			t.Fatal(err)
		}
		f(&h)
		return append(h.Append(nil), payload...)
	}
	another := strings.Replace(reference, "linux", "local", 1)
	for name, test := range map[string]struct {
		object []byte
		err    error
	}{
		"as it is":          {object, nil},
		"another reference": {change(func(h *entry.Header) { h.MD5 = md5.Sum([]byte(another)) }, another), sign.ErrUntrusted},
		"only the payload":  {change(func(*entry.Header) {}, another), entry.ErrCorrupt},
		"as a body":         {change(func(h *entry.Header) { h.Codec, h.BodySize = entry.Raw, int64(len(reference)) }, reference), sign.ErrUntrusted},
		"of another scope":  {refer(t, entry.Signer{Key: k, Scope: "pr-7"}), sign.ErrUntrusted},
	} {
		if _, _, _, err := openReferral(bytes.NewReader(test.object), want(k)); !errors.Is(err, test.err) {
			t.Errorf("%s: error %v, want %v", name, err, test.err)
		}
	}
}
