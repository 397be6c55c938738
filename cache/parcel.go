package cache

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/larderbuild/larder/entry"
	"github.com/larderbuild/larder/localdisk"
	"github.com/larderbuild/larder/protocol"
	"github.com/larderbuild/larder/session"
)

// listName is the subkey of the list of a package's sources. The list also names the
// sources that were generated, and each of these is a subkey of the package, too.
const listName = "srcfiles"

// subkeyNames has the other subkeys that every action may have. What the go command puts
// under a subkey is small, but for some generated sources.
var subkeyNames = [...]string{listName, "stdout", "link-stdout", "_cgo_install.h", "fix.zip", "coverprofile"}

// generated returns the names of those sources, of a list of sources, that were generated.
func generated(list []byte) (names []string) {
	lines := bufio.NewScanner(bytes.NewReader(list))
	for lines.Scan() {
		if name := lines.Text(); name != "" && !strings.HasPrefix(name, "./") {
			names = append(names, name)
		}
	}
	return names
}

// generatedOf returns the names of the generated sources of the package with an action, as
// far as the local tier has their list.
func generatedOf(local *localdisk.Dir, pkg protocol.ActionID) []string {
	e, path, err := local.Get(pkg.Subkey(listName))
	if err != nil || e.Size > entry.MaxRider {
		return nil
	}
	list, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	return generated(list)
}

// subkeysOf returns the subkeys that the go command may have put of the package with an
// action. Those of generated sources are among them if the local tier has their list.
func subkeysOf(local *localdisk.Dir, pkg protocol.ActionID) []protocol.ActionID {
	var actions []protocol.ActionID
	for _, name := range slices.Concat(subkeyNames[:], generatedOf(local, pkg)) {
		actions = append(actions, pkg.Subkey(name))
	}
	return actions
}

// queued is an upload with the size of its body in bytes.
type queued struct {
	session.Upload
	size int64
}

// parcel is what one entry object brings: an entry, and those that ride with it.
type parcel struct {
	queued
	riders  []*rider
	held    bool // waits, but not in the queue yet
	boarded bool // rides in another parcel
}

// rider is an upload whose entry rides in the entry object of another one.
type rider struct {
	queued
	name string // of the subkey
	err  error  // why the entry does not ride after all
}

// header returns the header of p's entry object, whose entry the local tier has as e.
func (p *parcel) header(e localdisk.Entry) entry.Header {
	return entry.Header{Action: e.Action, Output: e.Output, BodySize: e.Size, Time: e.Time, Cost: min(p.Cost, entry.MaxCost)}
}

// members returns all uploads of p.
func (p *parcel) members() []queued {
	all := []queued{p.queued}
	for _, r := range p.riders {
		all = append(all, r.queued)
	}
	return all
}

// bytes returns the size of all bodies of p.
func (p *parcel) bytes() (sum int64) {
	for _, m := range p.members() {
		sum += m.size
	}
	return sum
}

// mayRide reports whether p, which waits, may ride with another parcel.
func (p *parcel) mayRide() bool { return len(p.riders) == 0 && p.size <= entry.MaxRider }

// asRider returns how many bytes p takes among the riders of an object.
func (p *parcel) asRider(name string) int {
	return entry.Rider{Name: name}.Size() + int(p.size)
}

// load returns how many bytes the riders of p take in its object.
func (p *parcel) load() (sum int) {
	for _, r := range p.riders {
		sum += entry.Rider{Name: r.name}.Size() + int(r.size)
	}
	return sum
}

// board reads the entries that ride with p, and notes of the others why they do not.
func (u *uploader) board(p *parcel) (riders []entry.Rider) {
	for _, r := range p.riders {
		var read entry.Rider
		if read, r.err = u.read(r); r.err == nil {
			riders = append(riders, read)
		}
	}
	return riders
}

// read reads the entry of r, and searches it for secrets. Its errors are those of encode.
func (u *uploader) read(r *rider) (entry.Rider, error) {
	e, path, err := u.find(r.Upload)
	if err != nil {
		return entry.Rider{}, err
	}
	body, err := os.ReadFile(path)
	if err != nil || sha256.Sum256(body) != r.Output { // a reader takes what it gets for the output
		return entry.Rider{}, fmt.Errorf("%w: %s is damaged, or gone", localdisk.ErrNotFound, path)
	}
	scan := u.withheld.secrets.NewScan()
	_, _ = scan.Write(body) // never fails
	if err := u.withheld.check(scan, r.Action, r.Output); err != nil {
		return entry.Rider{}, err
	}
	return entry.Rider{Name: r.name, Time: e.Time, Cost: min(r.Cost, entry.MaxCost), Body: body}, nil
}
