// Command compression compares ways to compress what lies in packs, and prints for each how
// large it becomes and how long it takes:
//
//	go run ./integration/compression PACK...
//
// PACK is a file with a pack, such as those below v1/main/p in a file:// remote. The bodies
// in all of them are held in memory.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/klauspost/compress/dict"
	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/entry"
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: compression PACK...")
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(os.Stdout, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "compression:", err)
		os.Exit(1)
	}
}

// link is how many bytes a second a machine gets from its remote: 200 Mbit.
const link = 25e6

func run(out io.Writer, packs []string) error {
	var bodies [][]byte
	for _, path := range packs {
		more, err := readPack(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		bodies = append(bodies, more...)
	}
	fmt.Fprintf(out, "%d bodies, %s MB; %d cores\n\n", len(bodies), megabytes(size(bodies)), runtime.GOMAXPROCS(0))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "in one frame\tlevel\tMB\tpacked in, one core\tunpacked in, one core\ttwo\tsum at 200 Mbit/s, one core\ttwo\t")
	for _, w := range ways(bodies) {
		r, err := w.measure(bodies)
		if err != nil {
			return fmt.Errorf("%s at %s: %w", w.name, w.level, err)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%.2f s\t%.2f s\t%.2f s\t%.2f s\t%.2f s\t\n", w.name, w.level, megabytes(r.size),
			r.packed.Seconds(), r.unpacked[0].Seconds(), r.unpacked[1].Seconds(), r.sum(0), r.sum(1))
	}
	return table.Flush()
}

// readPack returns the bodies in a pack.
func readPack(path string) (bodies [][]byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	dec, err := zstd.NewReader(file)
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	header := make([]byte, entry.HeaderSize)
	for {
		switch _, err := io.ReadFull(dec, header); err {
		case nil:
		case io.EOF:
			return bodies, nil
		default:
			return nil, err
		}
		h, err := entry.ParseHeader(header)
		if err != nil {
			return nil, err
		}
		body := make([]byte, h.PayloadSize)
		if _, err := io.ReadFull(dec, body); err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
}

// way is a way to compress bodies.
type way struct {
	name       string
	level      zstd.EncoderLevel
	window     int // in bytes
	group      int // bytes of bodies that one frame holds, at least; 0: each body has one of its own
	dictionary []byte
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

func ways(bodies [][]byte) (all []way) {
	levels := []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression}
	dictionary, err := dict.BuildZstdDict(samples(bodies), dict.Options{MaxDictSize: 112 * kib, HashBytes: 6, ZstdDictID: 1, ZstdLevel: zstd.SpeedDefault})
	for _, level := range levels {
		all = append(all, way{name: "a body", level: level, window: 512 * kib})
	}
	for _, level := range levels {
		all = append(all, way{name: "a body", level: level, window: 8 * mib})
	}
	if err == nil {
		for _, level := range levels[:3] {
			all = append(all, way{name: "a body, dictionary", level: level, window: 512 * kib, dictionary: dictionary})
		}
	} else {
		fmt.Fprintln(os.Stderr, "no dictionary:", err)
	}
	for _, group := range []int{1, 4, 16, 1 << 12} {
		for _, level := range levels {
			window := min(group, 32) * mib
			all = append(all, way{name: fmt.Sprintf("%d MiB", group), level: level, window: window, group: group * mib})
		}
	}
	return all
}

// samples returns what a dictionary is made of: the beginning of each body.
func samples(bodies [][]byte) (some [][]byte) {
	for _, b := range bodies {
		some = append(some, b[:min(len(b), 64*kib)])
	}
	return some
}

// result is what a way comes to.
type result struct {
	size     int
	packed   time.Duration    // by one core
	unpacked [2]time.Duration // by one core and by two
}

// sum returns for how many seconds a machine downloads and then unpacks.
func (r result) sum(cores int) float64 { return float64(r.size)/link + r.unpacked[cores].Seconds() }

func (w way) measure(bodies [][]byte) (r result, err error) {
	groups := w.groups(bodies)
	opts := []zstd.EOption{zstd.WithEncoderLevel(w.level), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(w.window), zstd.WithEncoderCRC(false)}
	if w.dictionary != nil {
		opts = append(opts, zstd.WithEncoderDict(w.dictionary))
	}
	enc, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		return r, err
	}
	defer enc.Close()
	var frames [][]byte
	begun := time.Now()
	for _, g := range groups {
		var frame bytes.Buffer
		enc.Reset(&frame)
		for _, body := range g {
			if _, err := enc.Write(body); err != nil {
				return r, err
			}
			if w.group > 0 {
				if err := enc.Flush(); err != nil {
					return r, err
				}
			}
		}
		if err := enc.Close(); err != nil {
			return r, err
		}
		frames = append(frames, frame.Bytes())
	}
	r.packed = time.Since(begun)
	r.size = size(frames)
	for cores := range r.unpacked {
		begun := time.Now()
		if err := w.unpack(frames, cores+1); err != nil {
			return r, err
		}
		r.unpacked[cores] = time.Since(begun)
	}
	return r, nil
}

// groups returns the bodies that each frame holds.
func (w way) groups(bodies [][]byte) (groups [][][]byte) {
	var group [][]byte
	for _, b := range bodies {
		group = append(group, b)
		if size(group) >= w.group {
			groups = append(groups, group)
			group = nil
		}
	}
	if group != nil {
		groups = append(groups, group)
	}
	return groups
}

// unpack decompresses all frames, on so many cores.
func (w way) unpack(frames [][]byte, cores int) error {
	var next atomic.Int64
	errs := make([]error, cores)
	var running sync.WaitGroup
	for core := range cores {
		running.Go(func() {
			opts := []zstd.DOption{zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(uint64(w.window))}
			if w.dictionary != nil {
				opts = append(opts, zstd.WithDecoderDicts(w.dictionary))
			}
			dec, err := zstd.NewReader(nil, opts...)
			if err != nil {
				errs[core] = err
				return
			}
			defer dec.Close()
			for i := next.Add(1) - 1; i < int64(len(frames)); i = next.Add(1) - 1 {
				if err := dec.Reset(bytes.NewReader(frames[i])); err != nil {
					errs[core] = err
					return
				}
				if _, err := io.Copy(io.Discard, struct{ io.Reader }{dec}); err != nil {
					errs[core] = err
					return
				}
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

func size(of [][]byte) (sum int) {
	for _, b := range of {
		sum += len(b)
	}
	return sum
}

func megabytes(bytes int) string { return fmt.Sprintf("%.1f", float64(bytes)/1e6) }
