package bench

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
)

// Report has the results of one benchmark, for people and for programs.
type Report struct {
	Command   string        `json:"command"`
	Remote    string        `json:"remote"` // for people to read
	Latency   time.Duration `json:"latency_ns"`
	Bandwidth int64         `json:"bandwidth,omitempty"` // in bytes a second; 0: no limit
	Repeat    int           `json:"repeat"`
	Results   []Result      `json:"results"`
}

// Result has the measurements of one scenario. Each number but those of Runs is a
// median, or computed from medians.
type Result struct {
	Scenario     string          `json:"scenario"`
	Median       time.Duration   `json:"median_ns"`
	Runs         []time.Duration `json:"runs_ns"`
	ToNativeWarm float64         `json:"to_native_warm"` // Median divided by that of the scenario "native warm"
	ToNoCache    float64         `json:"to_no_cache"`    // Median divided by that of the build without a cache
	Requests     int64           `json:"requests"`
	BytesIn      int64           `json:"bytes_in"`
	BytesOut     int64           `json:"bytes_out"`
}

// summarize returns a result for each scenario. samples has each scenario's samples, in
// the same order.
func summarize(scenarios []scenario, samples [][]sample) []Result {
	results := make([]Result, len(scenarios))
	var warm, cold time.Duration
	for i, sc := range scenarios {
		each := func(value func(sample) int64) (values []int64) {
			for _, s := range samples[i] {
				values = append(values, value(s))
			}
			return values
		}
		r := Result{
			Scenario: sc.name,
			Requests: median(each(func(s sample) int64 { return s.Requests })),
			BytesIn:  median(each(func(s sample) int64 { return s.BytesIn })),
			BytesOut: median(each(func(s sample) int64 { return s.BytesOut })),
		}
		for _, s := range samples[i] {
			r.Runs = append(r.Runs, s.took)
		}
		r.Median = median(r.Runs)
		results[i] = r
		switch sc.name {
		case nativeWarm:
			warm = r.Median
		case noCache:
			cold = r.Median
		}
	}
	for i := range results {
		r := &results[i]
		r.ToNativeWarm = float64(r.Median) / float64(warm)
		r.ToNoCache = float64(r.Median) / float64(cold)
	}
	return results
}

// median returns the value in the middle, or the mean of the two in the middle.
func median[T ~int64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// String returns the report as a table.
func (r *Report) String() string {
	var table strings.Builder
	names := len("scenario")
	for _, result := range r.Results {
		names = max(names, len(result.Scenario))
	}
	const gap = 3
	w := tabwriter.NewWriter(&table, 0, 0, gap, ' ', tabwriter.AlignRight)
	row := func(name string, columns ...string) {
		_, _ = fmt.Fprintf(w, "%-*s\t%s\t\n", names, name, strings.Join(columns, "\t"))
	}
	row("scenario", "time", "to native warm", "to no cache", "requests", "in", "out")
	for _, result := range r.Results {
		row(result.Scenario, seconds(result.Median), times(result.ToNativeWarm), percent(result.ToNoCache),
			fmt.Sprint(result.Requests), humanize.IBytes(uint64(result.BytesIn)), humanize.IBytes(uint64(result.BytesOut)))
	}
	_ = w.Flush() // writes to a strings.Builder don't fail
	text := r.title() + "\n"
	for line := range strings.Lines(table.String()) {
		text += "\n" + strings.TrimSuffix(line[gap:], "\n")
	}
	return text
}

// title returns one line that says what was measured.
func (r *Report) title() string {
	title := fmt.Sprintf("%s, median of %d, remote: %s", r.Command, r.Repeat, r.Remote)
	if r.Latency > 0 {
		title += fmt.Sprintf(", %v away", r.Latency)
	}
	if r.Bandwidth > 0 {
		title += fmt.Sprintf(", %s/s", humanize.IBytes(uint64(r.Bandwidth)))
	}
	return title
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func times(x float64) string {
	if x >= 10 {
		return fmt.Sprintf("%.0f×", x)
	}
	return fmt.Sprintf("%.2f×", x)
}

func percent(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }
