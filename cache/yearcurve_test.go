package cache

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/wcharczuk/go-chart/v2"
	"github.com/wcharczuk/go-chart/v2/drawing"
)

var update = flag.Bool("update", false, "draw what tests have found out")

// yearCurve is what a remote stored at the end of each day, as a multiple of what the jobs used.
type yearCurve struct{ days, stored []float64 }

func (c *yearCurve) add(stored float64) {
	c.days = append(c.days, float64(len(c.days)+1))
	c.stored = append(c.stored, stored)
}

// draw writes the curve to path, in SVG.
func (c *yearCurve) draw(t *testing.T, path string) {
	t.Helper()
	graph := chart.Chart{
		Title:          fmt.Sprintf("Packs of one module that are stored, over %d days of %d jobs, as a multiple of what the jobs use", len(c.days), yearJobs),
		TitleStyle:     chart.Style{FontSize: 11},
		Width:          800,
		Height:         320,
		Background:     chart.Style{Padding: chart.Box{Top: 50, Left: 20, Right: 20, Bottom: 20}},
		XAxis:          chart.XAxis{Name: "day", ValueFormatter: chart.IntValueFormatter},
		YAxis:          chart.YAxis{Range: &chart.ContinuousRange{Min: 0, Max: 3}},
		YAxisSecondary: chart.YAxis{Style: chart.Hidden()},
		Series: []chart.Series{chart.ContinuousSeries{XValues: c.days, YValues: c.stored,
			Style: chart.Style{StrokeColor: drawing.ColorFromHex("00add8"), StrokeWidth: 2}}},
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := graph.Render(chart.SVG, f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
