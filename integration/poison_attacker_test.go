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

// attacker can write to the bucket, whose objects are files.
type attacker struct {
	*poisoned
	t   *testing.T
	key *sign.Key // nobody trusts it
}

// trusted returns the key that victims trust. The attacker does not have it: an attack
// that signs with it stands for one that copies what somebody else has signed.
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

// manifestPlace returns the place of the manifest of a profile.
func manifestPlace(scope, module, profile string) pack.Place {
	return pack.Place{Scope: scope, Name: "m/v5/" + url.QueryEscape(module) + "/" + url.QueryEscape(profile)}
}

// victimManifest returns the place of the manifest that victims read.
func victimManifest() pack.Place { return manifestPlace("main", chainedModule, victimProfile) }

// objectKey returns the key of the object at a place.
func objectKey(place pack.Place) string { return "v1/" + place.Scope + "/" + place.Name }

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

// write replaces an object by a new file: other folders have hard links to the old one.
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

// manifest returns the victims' manifest, as it was filled.
func (a *attacker) manifest() *pack.Manifest {
	a.t.Helper()
	m, err := pack.Decode(readFile(a.t, filepath.Join(a.filled, objectKey(victimManifest()))), victimManifest(), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	return m
}

// find returns the entry of m that has an output.
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

// preyed returns the prey's entry in m.
func (a *attacker) preyed(m *pack.Manifest) *pack.Entry { return a.find(m, a.clean.prey.output) }

// beside returns the entry in m of the package before the prey.
func (a *attacker) beside(m *pack.Manifest) *pack.Entry { return a.find(m, a.clean.beside.output) }

// preyKey returns the key of the prey's entry object.
func (a *attacker) preyKey() string { return entryKey("main", a.preyed(a.manifest()).Action) }

// header returns the header of an entry with the prey's action, with body and made now.
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
func (a *attacker) encode(h entry.Header, body []byte, by entry.Signer, riders ...entry.Rider) []byte {
	a.t.Helper()
	f, err := os.Create(filepath.Join(a.t.TempDir(), "object"))
	if err != nil {
		a.t.Fatal(err)
	}
	defer f.Close()
	if _, err := entry.Encode(f, h, bytes.NewReader(body), by, riders...); err != nil {
		a.t.Fatal(err)
	}
	return readFile(a.t, f.Name())
}

// evilObject returns the evil archive under the prey's action.
func (a *attacker) evilObject(by entry.Signer) []byte {
	return a.encode(a.header(a.evil.prey.body), a.evil.prey.body, by)
}

// parsed returns the header of an entry object.
func (a *attacker) parsed(object []byte) entry.Header {
	a.t.Helper()
	h, err := entry.ParseHeader(object)
	if err != nil {
		a.t.Fatal(err)
	}
	return h
}

// payload returns the payload of an entry object.
func (a *attacker) payload(object []byte) []byte {
	a.t.Helper()
	return object[a.parsed(object).FrontSize():]
}

// relabel returns an entry object with a changed header and the old signature.
func (a *attacker) relabel(object []byte, change func(*entry.Header)) []byte {
	a.t.Helper()
	h := a.parsed(object)
	behind := object[h.Size():]
	change(&h)
	return append(h.Append(nil), behind...)
}

// strip removes the signature from a header.
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

// packedEvil writes a pack with the evil archive to a scope, signed by by. It returns
// the victims' manifest with that pack.
func (a *attacker) packedEvil(scope string, by entry.Signer) *pack.Manifest {
	m := a.manifest()
	h, e := a.header(a.evil.prey.body), a.preyed(m)
	*e = promised(h)
	e.Head, e.Pack = pack.Head(a.evil.prey.body), len(m.Packs)
	id, size := a.writePack(scope, func(w *pack.Writer) (err error) {
		e.Span, err = w.Add(h, bytes.NewReader(a.evil.prey.body))
		return err
	}, by)
	m.Packs = append(m.Packs, pack.Pack{Scope: scope, ID: id, Size: size, Own: true})
	return m
}

// publish writes a manifest.
func (a *attacker) publish(place pack.Place, object []byte) { a.write(objectKey(place), object) }

// unsigned returns the object of a manifest without a signature.
func (a *attacker) unsigned(m *pack.Manifest) []byte {
	a.t.Helper()
	object, err := m.Encode(victimManifest(), nil)
	if err != nil {
		a.t.Fatal(err)
	}
	return object
}

// signed returns the object of a manifest that the trusted key has signed for a place.
func (a *attacker) signed(m *pack.Manifest, at pack.Place) []byte {
	a.t.Helper()
	object, err := m.Encode(at, a.trusted())
	if err != nil {
		a.t.Fatal(err)
	}
	return object
}

// forgedHead returns the object of the victims' manifest with the evil archive's head.
// The function change changes its header.
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

// packKey returns the key of the pack that holds the prey.
func (a *attacker) packKey() string {
	m := a.manifest()
	p := m.Packs[a.preyed(m).Pack]
	return packKey(p.Scope, p.ID)
}

// drop returns entries without the one of an action.
func drop(entries []pack.Entry, action protocol.ActionID) []pack.Entry {
	return slices.DeleteFunc(entries, func(e pack.Entry) bool { return e.Action == action })
}
