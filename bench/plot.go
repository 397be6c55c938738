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
	barSpacing   = 44
	chartMargin  = 20
	chartHeight  = 400
	titleHeight  = 40
	labelsHeight = 60
)

// Plot writes the report as a bar chart, in SVG. It puts the builds that begin with empty
// caches into the title, because their bars would leave no room for the others.
func (r *Report) Plot(w io.Writer) error {
	var bars []chart.Value
	longest := 0.0
	title := r.title()
	for _, result := range r.Results {
		if result.Scenario == noCache || result.Scenario == larderCold {
			title += fmt.Sprintf("; %s: %s", result.Scenario, seconds(result.Median))
			continue
		}
		took := result.Median.Seconds()
		longest = max(longest, took)
		color := drawing.ColorFromHex("9aa5b1")
		if strings.HasPrefix(result.Scenario, "larder") {
			color = drawing.ColorFromHex("00add8") // the gopher's
		}
		bars = append(bars, chart.Value{
			Label: result.Scenario + "\n" + seconds(result.Median),
			Value: took,
			Style: chart.Style{FillColor: color, StrokeColor: color},
		})
	}
	c := chart.BarChart{
		Title:      title,
		TitleStyle: chart.Style{FontSize: 11},
		Width:      2*chartMargin + len(bars)*(barWidth+barSpacing),
		Height:     chartHeight,
		Background: chart.Style{Padding: chart.Box{Top: titleHeight, Left: chartMargin, Right: chartMargin, Bottom: labelsHeight}},
		BarWidth:   barWidth,
		BarSpacing: barSpacing,
		XAxis:      chart.Style{FontSize: 8, TextWrap: chart.TextWrapWord},
		YAxis: chart.YAxis{ // hidden, because the labels have the numbers
			Style: chart.Hidden(),
			Range: &chart.ContinuousRange{Max: longest},
		},
		Bars: bars,
	}
	return c.Render(chart.SVG, w)
}
