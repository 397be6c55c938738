package pack

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/larderbuild/larder/sign"
)

// linux is the place of the signed manifests.
var linux = Place{Scope: "main", Name: "m/example.com%2Fm/linux"}

// TestSigned checks that a signature counts only for the place that it names and for the
// whole manifest. The golden file pins the signature.
func TestSigned(t *testing.T) {
	k, err := sign.ParseKey("ed25519-secret:" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	object := encodeSigned(t, sample(9), linux, k)
	stripped := bytes.Clone(object)
	clear(stripped[keyOffset:crcOffset])
	setCRC(stripped)
	forged := seal(sample(8).encodePayload()) // with the signature of object
	copy(forged[keyOffset:crcOffset], object[keyOffset:])
	setCRC(forged)
	for _, test := range []struct {
		name   string
		object []byte
		place  Place
		trust  *sign.Trust
		want   error
	}{
		{"as it is", object, linux, sign.Only(k), nil},
		{"the golden file", golden(t, "signed-manifest-v5.golden", object), linux, sign.Only(k), nil},
		{"by anybody", object, Place{}, nil, nil},
		{"in another scope", object, Place{"pr-7", linux.Name}, sign.Only(k), sign.ErrUntrusted},
		{"under another name", object, Place{"main", "m/example.com%2Fm/darwin"}, sign.Only(k), sign.ErrUntrusted},
		{"at a place that reads the same", object, Place{"mainm", linux.Name[1:]}, sign.Only(k), sign.ErrUntrusted},
		{"never signed", encode(t, sample(9)), linux, sign.Only(k), sign.ErrUntrusted},
		{"stripped", stripped, linux, sign.Only(k), sign.ErrUntrusted},
		{"by a stranger", encodeSigned(t, sample(9), linux, stranger), linux, sign.Only(k), sign.ErrUntrusted},
		{"of another manifest", forged, linux, sign.Only(k), sign.ErrUntrusted},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := Decode(test.object, test.place, test.trust); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
		})
	}
}

// TestReadEnds checks how many bytes Read reads. A source without end must not be read
// for ever, and nothing behind a header that is not trusted may be read.
func TestReadEnds(t *testing.T) {
	key, err := sign.Generate()
	if err != nil {
		t.Fatal(err)
	}
	object := encodeSigned(t, sample(9), linux, key)
	failing := errors.New("the connection is gone")
	for _, test := range []struct {
		name  string
		trust *sign.Trust
		src   io.Reader
		want  error
		read  int
	}{
		{"as it is", sign.Only(key), bytes.NewReader(object), nil, len(object)},
		{"with no end", sign.Only(key), io.MultiReader(bytes.NewReader(object), zeros{}), ErrCorrupt, len(object) + 1},
		{"of zeros", nil, zeros{}, ErrCorrupt, headerSize},
		{"not trusted, with no end", new(sign.Trust), io.MultiReader(bytes.NewReader(object), zeros{}), sign.ErrUntrusted, headerSize},
		{"cut", nil, bytes.NewReader(object[:len(object)-1]), ErrCorrupt, len(object) - 1},
		{"empty", nil, bytes.NewReader(nil), ErrCorrupt, 0},
		{"broken off", nil, io.MultiReader(bytes.NewReader(object[:200]), iotest.ErrReader(failing)), failing, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			src := &counter{Reader: test.src}
			m, read, err := Read(src, linux, test.trust)
			if !errors.Is(err, test.want) || src.n != test.read {
				t.Errorf("error %v after %d bytes, want %v after %d", err, src.n, test.want, test.read)
			}
			if err == nil && (!reflect.DeepEqual(m, sample(9)) || !bytes.Equal(read, object)) {
				t.Errorf("got %d bytes, and %+v", len(read), m)
			}
		})
	}
}

// counter counts the bytes read through it.
type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}

// zeros is a source without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
