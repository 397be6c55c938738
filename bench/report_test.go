package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/backend"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// report returns a report made from fixed samples of each scenario.
func report() *Report {
	const mib = 1 << 20
	samples := [][]sample{
		{{94_300 * time.Millisecond, backend.Counts{}}, {94_100 * time.Millisecond, backend.Counts{}}, {95_000 * time.Millisecond, backend.Counts{}}},
		{{96_000 * time.Millisecond, backend.Counts{Requests: 2100, BytesOut: 188 * mib}}},
		{{400 * time.Millisecond, backend.Counts{}}, {420 * time.Millisecond, backend.Counts{}}},
		{{440 * time.Millisecond, backend.Counts{Requests: 1, BytesIn: 800}}},
		{{1_400 * time.Millisecond, backend.Counts{Requests: 28, BytesIn: 94 * mib}}},
		{{640 * time.Millisecond, backend.Counts{Requests: 3, BytesIn: 817 << 10}}},
		{{1_700 * time.Millisecond, backend.Counts{Requests: 28, BytesIn: 94 * mib}}, {1_800 * time.Millisecond, backend.Counts{Requests: 30, BytesIn: 96 * mib}}},
		{{21_000 * time.Millisecond, backend.Counts{Requests: 1447, BytesIn: 99 * mib}}},
		{{2_200 * time.Millisecond, backend.Counts{Requests: 1, BytesIn: 92 * mib}}},
		{{3_900 * time.Millisecond, backend.Counts{}}},
		{{6_000 * time.Millisecond, backend.Counts{Requests: 34, BytesIn: 95 * mib}}},
		{{5_900 * time.Millisecond, backend.Counts{Requests: 31, BytesIn: 94 * mib, BytesOut: 1500}}},
	}
	return &Report{
		Command: "go build ./...", Remote: "s3://bucket/prefix", Latency: 20 * time.Millisecond, Bandwidth: 10 * mib, Repeat: 3,
		Results: summarize(scenarios(), samples),
	}
}

func TestReport(t *testing.T) {
	indented, err := json.MarshalIndent(report(), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"report.txt":  report().String() + "\n",
		"report.json": string(indented) + "\n",
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
			t.Errorf("%s is no longer what is reported:\n%s", name, got)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []int64
		want   int64
	}{
		{[]int64{7}, 7},
		{[]int64{9, 1}, 5},
		{[]int64{100, 1, 3}, 3},
		{[]int64{4, 1, 100, 2}, 3},
	} {
		if got := median(test.values); got != test.want {
			t.Errorf("median(%v) = %d, want %d", test.values, got, test.want)
		}
	}
}

// TestPlot checks that the chart has the name and the time of every scenario.
func TestPlot(t *testing.T) {
	var chart bytes.Buffer
	if err := report().Plot(&chart); err != nil {
		t.Fatal(err)
	}
	var text string
	for d := xml.NewDecoder(&chart); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if chars, ok := token.(xml.CharData); ok {
			text += string(chars) + " "
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	for _, r := range report().Results {
		want := r.Scenario + " " + seconds(r.Median)
		if r.Scenario == noCache || r.Scenario == larderCold {
			want = r.Scenario + ": " + seconds(r.Median)
		}
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the chart: %q", want, text)
		}
	}
}
