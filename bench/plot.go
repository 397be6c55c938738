package bench

import (
	"fmt"
	"io"
	"strings"

	"github.com/wcharczuk/go-chart/v2"
	"github.com/wcharczuk/go-chart/v2/drawing"
)

// Sizes of the chart in pixels.
const (
	barWidth     = 60
	barSpacing   = 40
	chartHeight  = 420
	chartMargin  = 60 // with the ticks' texts
	labelsHeight = 90
)

// Plot writes the report as a bar chart, in SVG.
func (r *Report) Plot(w io.Writer) error {
	var bars []chart.Value
	longest := 0.0
	for _, result := range r.Results {
		took := result.Median.Seconds()
		longest = max(longest, took)
		color := drawing.ColorFromHex("9aa5b1")
		if strings.HasPrefix(result.Scenario, "larder") {
			color = drawing.ColorFromHex("00add8") // the gopher's
		}
		bars = append(bars, chart.Value{
			Label: result.Scenario + " " + seconds(result.Median),
			Value: took,
			Style: chart.Style{FillColor: color, StrokeColor: color},
		})
	}
	c := chart.BarChart{
		Title:      r.title(),
		TitleStyle: chart.Style{FontSize: 11},
		Width:      2*chartMargin + len(bars)*(barWidth+barSpacing),
		Height:     chartHeight,
		Background: chart.Style{Padding: chart.Box{Top: 40, Left: 10, Right: chartMargin, Bottom: labelsHeight}},
		BarWidth:   barWidth,
		BarSpacing: barSpacing,
		XAxis:      chart.Style{FontSize: 8, TextWrap: chart.TextWrapWord},
		YAxis: chart.YAxis{
			Range:          &chart.ContinuousRange{Max: longest},
			ValueFormatter: func(v any) string { return fmt.Sprintf("%.1f s", v) },
		},
		Bars: bars,
	}
	return c.Render(chart.SVG, w)
}
