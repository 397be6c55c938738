package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"time"
)

// kind is a kind of fault.
type kind struct {
	name  string
	says  string
	on    remotes                   // 0: anywhere
	amid  bool                      // not for the last build of a round, whose uses must get into the manifest
	lacks func() string             // what this machine lacks for it, or ""; nil: nothing
	draw  func(r *rand.Rand) *fault // its parameters
}

// remotes is a set of kinds of remotes.
type remotes int

const (
	onS3 remotes = 1 << iota
	onDirectory
	onActions // the cache service of GitHub Actions

	anywhere = onS3 | onDirectory | onActions
	onLink   = onS3 | onActions // what machines reach over a link
)

// remotes returns where k can be.
func (k *kind) remotes() remotes { return cmp.Or(k.on, anywhere) }

// fault is one fault, with all that was drawn for it.
type fault struct {
	text string // its parameters in words

	// begin causes the fault, in a round whose build takes about usual. What it returns
	// heals it.
	begin func(r *round, usual time.Duration) (end func(), err error)

	kill     string  // victim: larder, go or flush
	at       float64 // when, as a share of what the build usually takes
	disk     string  // options of the file system that LARDER_DIR is on
	ahead    bool    // larder's clock is ahead
	together bool    // the other machine builds the same at the same time
}

// kinds are all kinds of faults.
var kinds = []*kind{
	{name: "none", says: "all is well", draw: func(*rand.Rand) *fault { return &fault{} }},
	{name: "together", says: "both machines build at once", amid: true, draw: func(*rand.Rand) *fault { return &fault{together: true} }},

	{name: "503", says: "the store asks to slow down, for a second or so", on: onS3, draw: func(r *rand.Rand) *fault {
		at, lasts, after := r.Float64()/2, between(r, 200*time.Millisecond, 2*time.Second), r.IntN(2)
		return ruled(at, lasts, slowDown(after), "from %.2f of the build for %v, Retry-After %d", at, lasts, after)
	}},
	{name: "500", says: "some requests fail", on: onS3, draw: func(r *rand.Rand) *fault {
		share, seed := 0.05+r.Float64()/2, r.Uint64()
		return ruled(0, forever, some(share, seed, answers(500, "InternalError")), "%.0f %% of the requests", 100*share)
	}},
	{name: "429", says: "an object takes one write a second", on: onS3, draw: func(*rand.Rand) *fault {
		return ruled(0, forever, oneWriteASecond(), "")
	}},
	{name: "501", says: "the store has no conditional puts", on: onS3, draw: func(*rand.Rand) *fault {
		return ruled(0, forever, noConditions, "")
	}},
	{name: "refused", says: "the store takes no writes", on: onS3, draw: func(*rand.Rand) *fault {
		return ruled(0, forever, writes(answers(403, "AccessDenied")), "")
	}},
	{name: "denied", says: "the store refuses everything", on: onS3, draw: func(*rand.Rand) *fault {
		return ruled(0, forever, answers(403, "InvalidAccessKeyId"), "")
	}},
	{name: "lost", says: "some objects are gone", on: onS3, draw: func(r *rand.Rand) *fault {
		share, seed := 0.1+r.Float64()/2, r.Uint64()
		return ruled(0, forever, reads(some(share, seed, answers(404, "NoSuchKey"))), "%.0f %% of the reads", 100*share)
	}},
	{name: "corrupt", says: "some objects come with a wrong byte", on: onS3, draw: func(r *rand.Rand) *fault {
		share, seed := 0.1+r.Float64()/2, r.Uint64()
		return ruled(0, forever, rule{answer: corrupt(share, seed)}, "%.0f %% of the reads", 100*share)
	}},

	{name: "down", says: "the store refuses connections", on: onLink, draw: func(r *rand.Rand) *fault {
		at := r.Float64()
		return linked(at, (*link).Down, "from %.2f of the build", at)
	}},
	{name: "unreachable", says: "connections to the store are not answered", on: onLink, lacks: lacksUnreachable, draw: func(*rand.Rand) *fault {
		return &fault{begin: func(r *round, _ time.Duration) (func(), error) { return r.unreachable() }}
	}},
	{name: "hang", says: "answers do not come", on: onLink, draw: func(r *rand.Rand) *fault {
		at := r.Float64()
		return linked(at, (*link).Hang, "from %.2f of the build", at)
	}},
	{name: "reset", says: "connections are reset", on: onLink, draw: func(r *rand.Rand) *fault {
		at := r.Float64()
		return linked(at, (*link).Reset, "from %.2f of the build", at)
	}},
	{name: "cut", says: "connections end after some bytes", on: onLink, draw: func(r *rand.Rand) *fault {
		bytes := int64(1) << r.IntN(18)
		return linked(0, func(l *link) { l.Cut(bytes) }, "after %d bytes", bytes)
	}},
	{name: "latency", says: "the store is far away", on: onLink, draw: func(r *rand.Rand) *fault {
		d := between(r, 5*time.Millisecond, 300*time.Millisecond)
		return linked(0, func(l *link) { l.Latency(d) }, "%v", d)
	}},
	{name: "slow", says: "the link is narrow, both ways", on: onLink, draw: func(r *rand.Rand) *fault {
		kib := 8 << r.IntN(8)
		return linked(0, func(l *link) { l.Bandwidth(kib); l.UploadBandwidth(kib) }, "%d KiB a second", kib)
	}},

	{name: "expired", says: "signed URLs are out of date all at once", on: onActions, draw: func(r *rand.Rand) *fault {
		at := r.Float64()
		return &fault{text: fmt.Sprintf("at %.2f of the build", at), begin: func(r *round, usual time.Duration) (func(), error) {
			timer := time.AfterFunc(time.Duration(at*float64(usual)), r.actions.Expire)
			return func() { timer.Stop() }, nil
		}}
	}},

	// Amid, since a manifest that is no file for a while may be written anew.
	{name: "fifos", says: "some files of the remote are FIFOs, which a reader may wait for without end", on: onDirectory, amid: true, lacks: lacksFIFO, draw: func(r *rand.Rand) *fault {
		share, seed := 0.2+0.8*r.Float64(), r.Uint64()
		return &fault{
			text:  fmt.Sprintf("%.0f %% of the files", 100*share),
			begin: func(r *round, _ time.Duration) (func(), error) { return replace(r.folder, share, seed) },
		}
	}},
	{name: "unmounted", says: "the remote's folder is away", on: onDirectory, draw: func(*rand.Rand) *fault {
		return &fault{begin: func(r *round, _ time.Duration) (func(), error) { return unmount(r.folder) }}
	}},

	{name: "kill-larder", says: "larder is killed", amid: true, lacks: lacksProcesses, draw: killed("larder")},
	{name: "kill-go", says: "the go command is killed", amid: true, lacks: lacksProcesses, draw: killed("go")},
	{name: "kill-flush", says: "larder flush is killed", lacks: lacksProcesses, draw: killed("flush")},
	{name: "disk", says: "LARDER_DIR is on a disk that is too small", amid: true, lacks: lacksMounts, draw: func(r *rand.Rand) *fault {
		options := fmt.Sprintf("size=%dk", 16<<r.IntN(10))
		if r.IntN(4) == 0 {
			options = fmt.Sprintf("size=64m,nr_inodes=%d", 8+r.IntN(60))
		}
		return &fault{disk: options, text: options}
	}},
	{name: "clock", says: "larder's clock is eight days ahead", draw: func(*rand.Rand) *fault { return &fault{ahead: true} }},
}

// forever is longer than any build.
const forever = time.Hour

func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return (low + time.Duration(r.Int64N(int64(high-low)))).Round(time.Millisecond)
}

// killed returns what draws the moment at which victim is killed.
func killed(victim string) func(*rand.Rand) *fault {
	return func(r *rand.Rand) *fault {
		at := 1.5 * r.Float64()
		return &fault{kill: victim, at: at, text: fmt.Sprintf("after %.2f of the build", at)}
	}
}

// ruled returns a fault for which the gate keeps to rl, from a share of the build on and
// as long as lasts.
func ruled(at float64, lasts time.Duration, rl rule, format string, args ...any) *fault {
	return &fault{text: fmt.Sprintf(format, args...), begin: func(r *round, usual time.Duration) (func(), error) {
		from := time.Now().Add(time.Duration(at * float64(usual)))
		r.gate.set(rl, from, from.Add(lasts))
		return r.gate.clear, nil
	}}
}

// linked returns a fault that cause brings over the link, from a share of the build on.
func linked(at float64, cause func(*link), format string, args ...any) *fault {
	return &fault{text: fmt.Sprintf(format, args...), begin: func(r *round, usual time.Duration) (func(), error) {
		return r.link.from(time.Duration(at*float64(usual)), cause), nil
	}}
}
