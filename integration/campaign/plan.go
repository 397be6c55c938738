package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// plan is what is drawn for a round, before anything of it happens.
type plan struct {
	number int
	remote remotes // one
	builds []build
}

// build is one build of a round.
type build struct {
	module  module
	edits   string // since the build before
	goal    string
	machine int // 0 or 1
	scope   string
	reads   string
	closing string
	bytes   string
	objects string
	profile string // "": the usual one
	kind    *kind
	fault   *fault
}

// newPlan draws the round with the given number.
func newPlan(opts options, number int) plan {
	random := rand.New(rand.NewPCG(opts.seed, uint64(number)))
	p := plan{number: number, remote: drawRemote(random, opts.kinds)}
	usable := slices.DeleteFunc(slices.Clone(opts.kinds), func(k *kind) bool { return k.remotes()&p.remote == 0 })
	atEnd := slices.DeleteFunc(slices.Clone(usable), func(k *kind) bool { return k.amid })
	if len(atEnd) == 0 {
		atEnd = kinds[:1]
	}
	m, undo := newModule(), newModule()
	for i, n := 0, 8+random.IntN(9); i < n; i++ {
		b := build{machine: random.IntN(2), kind: usable[random.IntN(len(usable))]}
		var edits []string
		for range random.IntN(3) {
			if random.IntN(6) == 0 {
				m, undo = undo, m
				edits = append(edits, "back to an earlier state")
				continue
			}
			var edit string
			undo = m
			m, edit = m.edited(random)
			edits = append(edits, edit)
		}
		if random.IntN(2) == 0 {
			m = m.mended()
		}
		b.goal = m.goal(random)
		if i == n-1 {
			m, b.goal, b.kind = m.mended(), everything, atEnd[random.IntN(len(atEnd))]
		}
		b.fault = b.kind.draw(random)
		if b.fault.disk != "" { // without the standard library, which is not there
			b.goal = fmt.Sprintf("build ./p%d", random.IntN(plainPackages))
		}
		b.module, b.edits = m, strings.Join(edits, "; ")
		b.scope, b.reads = "main", "main"
		if random.IntN(3) == 0 {
			b.scope, b.reads = "pr-1", "pr-1,main"
		}
		b.closing = []string{"wait", "linger"}[random.IntN(2)]
		b.bytes = []string{"auto", "auto", "auto", "eager"}[random.IntN(4)]
		b.objects = []string{"all", "all", "none"}[random.IntN(3)]
		if p.remote == onActions {
			b.objects = "none"
		}
		b.profile = []string{"", "other"}[random.IntN(2)]
		p.builds = append(p.builds, b)
	}
	return p
}

// drawRemote draws a remote that at least one of kinds can be at.
func drawRemote(random *rand.Rand, kinds []*kind) remotes {
	var some remotes
	for _, k := range kinds {
		some |= k.remotes()
	}
	for {
		drawn := []remotes{onS3, onS3, onActions, onDirectory}[random.IntN(4)]
		if drawn&some != 0 {
			return drawn
		}
	}
}

// String returns what b does, in a line.
func (b build) String() string {
	text := fmt.Sprintf("%s: go %s on machine %s, scope %s, close %s, bytes %s, objects %s", b.kind.name, b.goal, machineNames[b.machine], b.scope, b.closing, b.bytes, b.objects)
	if b.profile != "" {
		text += ", profile " + b.profile
	}
	if b.fault.text != "" {
		text += "; " + b.fault.text
	}
	if b.edits != "" {
		text += "; " + b.edits
	}
	return text
}

var machineNames = [2]string{"a", "b"}

// settings returns the variables of b's session.
func (b build) settings() []string {
	return []string{
		"LARDER_SCOPE=" + b.scope, "LARDER_READ_SCOPES=" + b.reads, "LARDER_CLOSE=" + b.closing, "LARDER_BYTES=" + b.bytes,
		"LARDER_OBJECTS=" + b.objects, "LARDER_PROFILE=" + b.profile,
	}
}
