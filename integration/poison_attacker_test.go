package integration

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/sign"
)

// attacker may write to the bucket, whose objects are files.
type attacker struct {
	*poisoned
	t   *testing.T
	key *sign.Key // that nobody trusts
}

// trusted is the key that others trust, and that the attacker has not. What is signed
// with it here stands for what somebody else has signed.
func (a *attacker) trusted() *sign.Key { return a.poisoned.key }

// Keys in the bucket.

func entryKey(scope string, action protocol.ActionID) string {
	id := action.String()
	return "v1/" + scope + "/a/" + id[:2] + "/" + id
}

func packKey(scope string, id pack.ID) string {
	name := hex.EncodeToString(id[:])
	return "v1/" + scope + "/p/" + name[:2] + "/" + name
}

// manifestPlace is where the manifest of a profile lies.
func manifestPlace(scope, module, profile string) pack.Place {
	return pack.Place{Scope: scope, Name: "m/" + url.QueryEscape(module) + "/" + url.QueryEscape(profile)}
}

// mine is where the manifest lies that victims read.
func mine() pack.Place { return manifestPlace("main", chainedModule, victimProfile) }

// keyOf returns the key of what lies in a place.
func keyOf(at pack.Place) string { return "v1/" + at.Scope + "/" + at.Name }

func (a *attacker) file(key string) string { return filepath.Join(a.folder, filepath.FromSlash(key)) }

func (a *attacker) read(key string) []byte {
	a.t.Helper()
	return readFile(a.t, a.file(key))
}

func (a *attacker) remove(key string) {
	a.t.Helper()
	if err := os.RemoveAll(a.file(key)); err != nil {
		a.t.Fatal(err)
	}
}

// write replaces an object. The file is a new one: others share the old one.
func (a *attacker) write(key string, object []byte) {
	a.t.Helper()
	a.remove(key)
	err := os.MkdirAll(filepath.Dir(a.file(key)), 0o777)
	if err == nil {
		err = os.WriteFile(a.file(key), object, 0o666)
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

// manifest returns what the victims' manifest says.
func (a *attacker) manifest() *pack.Manifest {
	a.t.Helper()
	m, err := pack.Decode(readFile(a.t, filepath.Join(a.filled, keyOf(mine()))), mine(), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	return m
}

// find returns the entry in m of the archive with an output.
func (a *attacker) find(m *pack.Manifest, output protocol.OutputID) *pack.Entry {
	a.t.Helper()
	for i := range m.Entries {
		if m.Entries[i].Output == output {
			return &m.Entries[i]
		}
	}
	a.t.Fatalf("the manifest lacks %s", output)
	return nil
}

// preyed returns the entry in m of the prey.
func (a *attacker) preyed(m *pack.Manifest) *pack.Entry { return a.find(m, a.clean.prey.output) }

// beside returns the entry in m of the package beside it.
func (a *attacker) beside(m *pack.Manifest) *pack.Entry { return a.find(m, a.clean.beside.output) }

// preyKey is the key of the prey's entry object.
func (a *attacker) preyKey() string { return entryKey("main", a.preyed(a.manifest()).Action) }

// header returns that of a body under the prey's action, as of now.
func (a *attacker) header(body []byte) entry.Header {
	return entry.Header{
		Action:   a.preyed(a.manifest()).Action,
		Output:   sha256.Sum256(body),
		BodySize: int64(len(body)),
		Time:     time.Unix(0, time.Now().UnixNano()),
		Cost:     time.Second,
	}
}

// encode returns an entry object.
func (a *attacker) encode(h entry.Header, body []byte, by entry.Signer) []byte {
	a.t.Helper()
	f, err := os.Create(filepath.Join(a.t.TempDir(), "object"))
	if err != nil {
		a.t.Fatal(err)
	}
	defer f.Close()
	if _, err := entry.Encode(f, h, bytes.NewReader(body), by); err != nil {
		a.t.Fatal(err)
	}
	return readFile(a.t, f.Name())
}

// evilObject returns the evil archive under the prey's action.
func (a *attacker) evilObject(by entry.Signer) []byte {
	return a.encode(a.header(a.evil.prey.body), a.evil.prey.body, by)
}

// relabel returns an entry object with another header, and as well signed as it was.
func (a *attacker) relabel(object []byte, change func(*entry.Header)) []byte {
	a.t.Helper()
	h, err := entry.ParseHeader(object)
	if err != nil {
		a.t.Fatal(err)
	}
	change(&h)
	return append(h.Append(nil), object[entry.HeaderSize:]...)
}

// strip takes the signature from a header.
func strip(h *entry.Header) { h.KeyID, h.Signature = sign.ID{}, sign.Signature{} }

// promised returns the entry of a manifest that promises h.
func promised(h entry.Header) pack.Entry {
	return pack.Entry{Action: h.Action, Output: h.Output, Size: h.BodySize, Time: h.Time, Cost: h.Cost, Used: pack.DayOf(h.Time)}
}

// inlineEvil returns the victims' manifest with the evil archive in it.
func (a *attacker) inlineEvil() *pack.Manifest {
	m := a.manifest()
	e := a.preyed(m)
	*e = promised(a.header(a.evil.prey.body))
	e.Inline = a.evil.prey.body
	return m
}

// packedEvil returns the victims' manifest with the evil archive in a pack, which
// it makes, in a scope and signed by by.
func (a *attacker) packedEvil(scope string, by entry.Signer) *pack.Manifest {
	m := a.manifest()
	h, e := a.header(a.evil.prey.body), a.preyed(m)
	*e = promised(h)
	e.Head, e.Pack = pack.Head(a.evil.prey.body), len(m.Packs)
	id, size := a.writePack(scope, func(w *pack.Writer) (err error) {
		e.Offset, e.Length, err = w.Add(h, bytes.NewReader(a.evil.prey.body))
		return err
	}, by)
	m.Packs = append(m.Packs, pack.Pack{Scope: scope, ID: id, Size: size, Own: true})
	return m
}

// publish writes a manifest.
func (a *attacker) publish(at pack.Place, object []byte) { a.write(keyOf(at), object) }

// unsigned returns the object of a manifest.
func (a *attacker) unsigned(m *pack.Manifest) []byte {
	a.t.Helper()
	object, err := m.Encode(mine(), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	return object
}

// signed returns the object of a manifest that somebody has signed for a place.
func (a *attacker) signed(m *pack.Manifest, at pack.Place) []byte {
	a.t.Helper()
	object, err := m.Encode(at, a.trusted())
	if err != nil {
		a.t.Fatal(err)
	}
	return object
}

// forgedHead returns the victims' manifest with the evil archive's head, and with
// another header.
func (a *attacker) forgedHead(change func(header []byte)) []byte {
	m := a.manifest()
	a.preyed(m).Head = pack.Head(a.evil.prey.body)
	forged := a.unsigned(m)
	change(forged)
	return manifestLayout.seal(forged)
}

// writePack writes a pack.
func (a *attacker) writePack(scope string, fill func(*pack.Writer) error, by entry.Signer) (pack.ID, int64) {
	a.t.Helper()
	f, err := os.Create(filepath.Join(a.t.TempDir(), "pack"))
	if err != nil {
		a.t.Fatal(err)
	}
	defer f.Close()
	w := pack.NewWriter(f, by)
	if err := fill(w); err != nil {
		a.t.Fatal(err)
	}
	id, size, _, err := w.Finish()
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(packKey(scope, id), readFile(a.t, f.Name()))
	return id, size
}

// packKey is the key of the pack in which the prey lies.
func (a *attacker) packKey() string {
	m := a.manifest()
	p := m.Packs[a.preyed(m).Pack]
	return packKey(p.Scope, p.ID)
}

// drop returns entries without one action's.
func drop(entries []pack.Entry, action protocol.ActionID) []pack.Entry {
	return slices.DeleteFunc(entries, func(e pack.Entry) bool { return e.Action == action })
}
