package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/sign"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// archiveHead is the head of an archive, as the go command writes it.
const archiveHead = "!<arch>\n" +
	"__.PKGDEF       0           0     0     644     7955      `\n" +
	"go object linux amd64 go1.26.8 GOAMD64=v1 X:regabiwrappers\n" +
	"build id \"b41e5c45250e25c9fd5e/9f9a1de7857ea0d41224\"\n"

// sample returns a manifest with n entries, some of them in two packs and the others in
// the manifest itself.
func sample(n int) *Manifest {
	m := &Manifest{Today: 20_002, Clock: 20_003, Far: 19_999, Packs: []Pack{
		{Scope: "main", ID: sha256.Sum256([]byte("first")), Size: 1 << 40},
		{Scope: "pr-12", ID: sha256.Sum256([]byte("second")), Size: 1 << 40, Own: true},
	}, Eager: []Eager{{Command: sha256.Sum256([]byte("build")), Used: 20_002}}}
	var offset int64
	for i := range n {
		e := Entry{
			Action: actionID(i),
			Time:   time.Unix(1_790_000_000, int64(i)),
			Cost:   time.Duration(i) * time.Millisecond,
			Used:   Day(20_000 + i%7),
		}
		switch i % 4 {
		case 0:
			e.Inline = []byte{}
		case 1: // a subkey of the entry before, or of the one behind
			s := subkey{name: 1 + i/4%len(subkeyNames)}
			e.Action = s.action(actionID(i - 1 + i/4%2*2))
			e.Inline = []byte("the same of all")
		case 2:
			e.Inline = fmt.Append(nil, "a small body, number ", i)
		case 3:
			e.Size, e.Pack = 5000+int64(i), i/4%2
			e.Span = Span{Frame: offset, Offset: offset, Length: 1000 + int64(i)}
			if i%16 > 7 { // in the frame of the entry that lies before it in the pack
				before := m.Entries[i-8]
				e.Frame, e.At = before.Frame, before.At+before.ObjectSize()
			}
			offset += e.Length
			if i%8 == 7 {
				e.Head = []byte(archiveHead)
			}
		}
		e.Output = protocol.OutputID(sha256.Sum256(e.Inline))
		if !e.InPack() {
			e.Size = int64(len(e.Inline))
		}
		m.Entries = append(m.Entries, e)
	}
	return m
}

// actionID returns the action ID of the entry of sample with the given index, unless that
// is a subkey.
func actionID(i int) protocol.ActionID { return sha256.Sum256(fmt.Append(nil, "action ", i)) }

// encode returns the unsigned object of m.
func encode(t testing.TB, m *Manifest) []byte {
	t.Helper()
	return encodeSigned(t, m, Place{}, nil)
}

// encodeSigned returns the object of m for place, signed with key.
func encodeSigned(t testing.TB, m *Manifest, place Place, key *sign.Key) []byte {
	t.Helper()
	object, err := m.Encode(place, key)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// seal returns the object of a manifest with any payload. The object is intact, whatever
// the payload says.
func seal(payload []byte) []byte {
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	defer enc.Close()
	compressed := enc.EncodeAll(payload, nil)
	sum := sha256.Sum256(compressed)
	h := append([]byte(magic), Version)
	h = binary.BigEndian.AppendUint64(h, uint64(len(payload)))
	h = binary.BigEndian.AppendUint64(h, uint64(len(compressed)))
	h = append(h, sum[:]...)
	h = append(h, make([]byte, headerSize-len(h))...)
	setCRC(h)
	return append(h, compressed...)
}

// setCRC sets the CRC of the header at the start of object.
func setCRC(object []byte) {
	binary.BigEndian.PutUint32(object[crcOffset:], crc32.Checksum(object[:crcOffset], castagnoli))
}

// golden returns the contents of a golden file. With -update it writes object to the
// file first.
func golden(t *testing.T, name string, object []byte) []byte {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, object, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	contents, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return contents
}
