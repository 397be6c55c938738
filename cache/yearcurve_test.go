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

// yearCurve is what a remote held at the end of each day, as multiples of what the jobs used.
type yearCurve struct{ days, stored, named []float64 }

func (c *yearCurve) add(stored, named float64) {
	c.days = append(c.days, float64(len(c.days)+1))
	c.stored = append(c.stored, stored)
	c.named = append(c.named, named)
}

// draw writes the curve to path, in SVG.
func (c *yearCurve) draw(t *testing.T, path string) {
	t.Helper()
	line := func(name, color string, values []float64) chart.Series {
		return chart.ContinuousSeries{Name: name, XValues: c.days, YValues: values,
			Style: chart.Style{StrokeColor: drawing.ColorFromHex(color), StrokeWidth: 2}}
	}
	graph := chart.Chart{
		Title:      fmt.Sprintf("Packs of one module over %d days of %d jobs, as multiples of what the jobs use", len(c.days), yearJobs),
		TitleStyle: chart.Style{FontSize: 11},
		Width:      800,
		Height:     320,
		Background: chart.Style{Padding: chart.Box{Top: 50, Left: 20, Right: 20, Bottom: 20}},
		XAxis:      chart.XAxis{Name: "day", ValueFormatter: chart.IntValueFormatter},
		YAxis:      chart.YAxis{Range: &chart.ContinuousRange{Min: 0, Max: 3}},
		Series:     []chart.Series{line("stored", "00add8", c.stored), line("of these, named by manifests", "9aa5b1", c.named)},
	}
	graph.Elements = []chart.Renderable{chart.Legend(&graph)}
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
