package bench

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// Sizes of the chart in pixels.
const (
	chartMargin = 20
	labelsWidth = 260 // left of the bars
	barsWidth   = 480 // of the longest one
	timesWidth  = 70  // right of it
	chartWidth  = chartMargin + labelsWidth + barsWidth + timesWidth + chartMargin
	rowHeight   = 28 // of a bar and what is above it
	barHeight   = 18
)

// Colors of the bars.
const (
	grey   = "#9aa5b1"
	gopher = "#00add8"
)

// Plot writes the report as a bar chart, in SVG. It puts the builds that begin with empty
// caches into the title, because their bars would leave no room for the others. It draws by
// itself: the libraries for charts need FreeType, whose licence is none of those that larder
// may carry.
func (r *Report) Plot(w io.Writer) error {
	title := []string{r.title()}
	var bars []Result
	var longest time.Duration
	for _, result := range r.Results {
		if result.Scenario == noCache || result.Scenario == larderCold {
			title = append(title, fmt.Sprintf("%s: %s", result.Scenario, seconds(result.Median)))
			continue
		}
		longest = max(longest, result.Median)
		bars = append(bars, result)
	}
	var c svg
	height := 2*chartMargin + (len(title)+len(bars))*rowHeight
	c.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", chartWidth, height)
	c.rect(0, 0, chartWidth, height, "white")
	y := chartMargin
	for _, line := range title {
		c.text(chartMargin, y, "start", line)
		y += rowHeight
	}
	const left = chartMargin + labelsWidth
	for _, bar := range bars {
		color := grey
		if strings.HasPrefix(bar.Scenario, "larder") {
			color = gopher
		}
		width := int(barsWidth * bar.Median.Seconds() / longest.Seconds())
		c.text(left-8, y, "end", bar.Scenario)
		c.rect(left, y, width, barHeight, color)
		c.text(left+width+8, y, "start", seconds(bar.Median))
		y += rowHeight
	}
	c.WriteString("</svg>\n")
	_, err := c.WriteTo(w)
	return err
}

// svg is a picture in the making.
type svg struct{ bytes.Buffer }

func (s *svg) printf(format string, args ...any) { _, _ = fmt.Fprintf(s, format, args...) }

func (s *svg) rect(x, y, width, height int, color string) {
	s.printf(`<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", x, y, width, height, color)
}

// text writes a line beside a bar at y. It begins or ends at x, as anchor says.
func (s *svg) text(x, y int, anchor, line string) {
	s.printf(`<text x="%d" y="%d" text-anchor="%s">`, x, y+barHeight-5, anchor)
	_ = xml.EscapeText(s, []byte(line)) // writes to a bytes.Buffer don't fail
	s.WriteString("</text>\n")
}
