package trace

import "encoding/binary"

// Sampler says which traces are recorded. The zero Sampler records none.
type Sampler struct {
	// Ratio is the share of the traces that is recorded, from 0 to 1. Whether a trace is among
	// them depends on its ID alone, so servers with the same ratio record the same ones.
	Ratio float64

	// ParentBased says that a request which belongs to a trace already is recorded if its
	// sender records it. The ratio is for the others.
	ParentBased bool
}

// samples reports whether a span of a trace is recorded, whose parent is p.
func (s Sampler) samples(traceID [16]byte, p parent) bool {
	switch {
	case s.ParentBased && p.exists():
		return p.flags&sampledFlag != 0
	case s.Ratio >= 1:
		return true
	}
	// As in OpenTelemetry's libraries: 63 bits of the ID that are random in all systems.
	return binary.BigEndian.Uint64(traceID[8:])>>1 < uint64(s.Ratio*(1<<63))
}
