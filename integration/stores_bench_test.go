package integration

import (
	"testing"
	"time"

	"github.com/larderbuild/larder/testserver"
)

// distant is a store behind a link.
type distant struct {
	name, url string
	settings  []string // variables of who uses it
	link      *testserver.Link
}

// distantStores returns a store of each kind. S3 comes first.
func distantStores(b *testing.B) []distant {
	b.Helper()
	var all []distant
	for _, at := range []struct {
		name string
		open func(testing.TB) store
	}{{"s3", s3Store}, {"gcs", gcsStore}, {"azure", azureStore}} {
		s := at.open(b)
		link := testserver.Proxy(b, s.endpoint)
		all = append(all, distant{at.name, s.url(link.Endpoint), s.env, link})
	}
	actions := testserver.Actions(b)
	link := testserver.Proxy(b, actions.Endpoint)
	settings := testserver.ActionsEnviron(link.Endpoint, actions.Token(mainRef))
	return append(all, distant{"gha", "gha://", settings, link})
}

// BenchmarkStores repeats a build of which everything is cached, in turns with stores of
// all kinds that are 20 ms away, on machines that have nothing else. It compares them with
// S3: without the bytes of archives, and with all of them.
func BenchmarkStores(b *testing.B) {
	w, stores := versitygw(b), distantStores(b)
	dir := b.TempDir()
	machines := make([]*machine, len(stores))
	for i, s := range stores {
		machines[i] = newMachine(b, w.dir, s.url, append(s.settings, "LARDER_DIR="+dir)...)
		machines[i].dir = dir
		w.build(machines[i]) // the first one builds, and each publishes
		w.build(machines[i]) // with the indexes of files that were new
		machines[i].env = append(machines[i].env, "LARDER_READONLY=true")
		s.link.Latency(20 * time.Millisecond)
	}
	command := append([]string{"build"}, w.packages...)
	for b.Loop() {
		lazy, eager := make([][]result, len(stores)), make([][]result, len(stores))
		for range rounds {
			for i, m := range machines {
				lazy[i] = append(lazy[i], m.emptied(command, "LARDER_BYTES=auto"))
				eager[i] = append(eager[i], m.emptied(command, "LARDER_BYTES=eager"))
			}
		}
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(milliseconds(medianTime(lazy[0])), "s3-ms")
		for i, s := range stores {
			b.ReportMetric(ratio(lazy[i], lazy[0]), s.name+"-x-s3")
			b.ReportMetric(ratio(eager[i], eager[0]), s.name+"-x-s3-all-bytes")
			b.ReportMetric(float64(medianOf(lazy[i], result.requests)), s.name+"-requests")
		}
	}
}
