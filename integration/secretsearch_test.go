package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/pack"
	"github.com/larderbuild/larder/protocol"
)

// search fails the test if data has one of v's secrets, plain or encoded.
func (v vault) search(t *testing.T, where string, data []byte) {
	t.Helper()
	for _, needle := range v.needles() {
		if i := bytes.Index(data, []byte(needle)); i >= 0 {
			t.Errorf("%s has a secret, at byte %d of %d", where, i, len(data))
			return
		}
	}
}

// needles returns v's secrets, plain and in each encoding.
func (v vault) needles() (texts []string) {
	lines := strings.Split(strings.TrimSpace(v.letter), "\n")
	for _, secret := range append(lines[1:len(lines)-1], v.token) {
		escaped, _ := json.Marshal(secret) // a string
		texts = append(texts, secret, string(escaped[1:len(escaped)-1]), url.QueryEscape(secret),
			hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))))
		// Which bytes share a group depends on what stands before them.
		for skip := range 3 {
			groups := secret[skip:]
			groups = groups[:len(groups)-len(groups)%3]
			texts = append(texts, base64.StdEncoding.EncodeToString([]byte(groups)), base64.URLEncoding.EncodeToString([]byte(groups)))
		}
	}
	return texts
}

// shared is what a store holds.
type shared struct {
	objects   map[protocol.ActionID]bool // the actions of entry objects
	packed    map[protocol.ActionID]bool // the actions of entries in packs
	named     map[protocol.ActionID]bool // the actions that manifests name
	manifests []string                   // the manifests themselves
	plain     map[string]bool            // kinds of objects in which the search found the vault's plain text
}

// wantFound checks that the search which made p found plain text in kinds of objects.
func (p shared) wantFound(t *testing.T, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		if !p.plain[kind] {
			t.Errorf("the search finds nothing in objects %s/: this shows nothing", kind)
		}
	}
}

// wantNone checks that p has no entry of held, in any kind of object.
func (p shared) wantNone(t *testing.T, held map[protocol.ActionID]bool) {
	t.Helper()
	for action := range held {
		if p.objects[action] || p.packed[action] || p.named[action] {
			t.Errorf("%s is withheld: an entry object %v, in a pack %v, in a manifest %v",
				action, p.objects[action], p.packed[action], p.named[action])
		}
	}
}

// searchStore searches every object in a store's folder for v's secrets, encoded and
// decoded. It returns what the objects hold.
func (v vault) searchStore(t *testing.T, folder string) shared {
	t.Helper()
	found := shared{
		objects: make(map[protocol.ActionID]bool),
		packed:  make(map[protocol.ActionID]bool),
		named:   make(map[protocol.ActionID]bool),
		plain:   make(map[string]bool),
	}
	walkFiles(t, folder, func(path string) {
		key := filepath.ToSlash(strings.TrimPrefix(path, folder))
		data := readFile(t, path)
		v.search(t, "a key", []byte(key))
		v.search(t, key, data)
		kind := strings.Split(key, "/")[3] // of /v1/main/kind/
		see := func(body []byte) {
			v.search(t, "what is in "+key, body)
			found.plain[kind] = found.plain[kind] || bytes.Contains(body, []byte(v.plain))
		}
		switch {
		case kind == "m" && strings.HasSuffix(key, "@profiles"): // a name
		case kind == "m":
			found.manifests = append(found.manifests, string(data))
			seeManifest(t, data, found.named, see)
		case kind == "a":
			seeEntries(t, data, false, found.objects, see)
		case kind == "p":
			seeEntries(t, decompress(t, data), true, found.packed, see)
		default:
			t.Errorf("%s is nothing that is known", key)
		}
	})
	return found
}

// seeEntries calls see with each body in the entry objects that data consists of, which
// stand in frames or not, and adds their actions to actions.
func seeEntries(t *testing.T, data []byte, framed bool, actions map[protocol.ActionID]bool, see func([]byte)) {
	t.Helper()
	for len(data) > 0 {
		h, err := entry.ParseHeader(data)
		if err != nil {
			t.Error(err)
			return
		}
		size := h.ObjectSize()
		r, err := entry.Open(bytes.NewReader(data[:size]), entry.Want{Action: h.Action, MaxSize: 1 << 30, Framed: framed})
		if err != nil {
			t.Error(err)
			return
		}
		if r.Reference == "" {
			body, err := io.ReadAll(r)
			if err != nil {
				t.Error(err)
			}
			see(body)
		}
		r.Close()
		actions[h.Action] = true
		for _, rider := range r.Riders {
			actions[rider.Action(h.Action)] = true
			see(rider.Body)
		}
		data = data[size:]
	}
}

// seeManifest calls see with the bodies and heads in a manifest, and adds the actions
// that it names to actions.
func seeManifest(t *testing.T, data []byte, actions map[protocol.ActionID]bool, see func([]byte)) {
	t.Helper()
	m, err := pack.Decode(data, pack.Place{}, nil)
	if err != nil {
		t.Error(err)
		return
	}
	for i := range m.Entries {
		e := &m.Entries[i]
		actions[e.Action] = true
		see(e.Inline)
		see(e.Head)
	}
}

// searchState searches all files of larder's in a local tier, other than entries, for
// v's secrets.
func (v vault) searchState(t *testing.T, dir string) {
	t.Helper()
	var copies int
	walkFiles(t, filepath.Join(dir, "larder"), func(path string) {
		data := readFile(t, path)
		v.search(t, path, append([]byte(path), data...))
		if filepath.Base(filepath.Dir(path)) != "manifests" || filepath.Ext(path) != "" {
			return
		}
		if parts := bytes.SplitN(data, []byte("\n"), 3); len(parts) == 3 && len(parts[2]) > 0 {
			copies++
			seeManifest(t, parts[2], make(map[protocol.ActionID]bool), func(body []byte) { v.search(t, "what is in "+path, body) })
		}
	})
	if copies == 0 {
		t.Errorf("%s has no copy of a manifest", dir)
	}
}

func actionID(t testing.TB, name string) (action protocol.ActionID) {
	t.Helper()
	if n, err := hex.Decode(action[:], []byte(name)); err != nil || n != len(action) {
		t.Fatalf("%s is no action ID", name)
	}
	return action
}
