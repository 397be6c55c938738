package secrets

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// scan returns what f finds in body, which is written at once.
func scan(f *Filter, body string) (rule string) {
	s := f.NewScan()
	io.WriteString(s, body)
	return s.Found()
}

// small is like New, but makes the windows as small as possible.
func small(environ []string) *Filter {
	f := New(environ)
	f.windowSize = f.overlap + 1
	return f
}

func TestScanValues(t *testing.T) {
	short, long := fake(word, 8), fake(word, 3000)
	lines := "-----BEGIN A KEY-----\r\n" + fake(word, 64) + "\r\n" + fake(word, 20)
	f := New([]string{"A_TOKEN=" + short, "B_SECRET=" + long, "C_KEY=" + lines, "HOME=" + fake(letters, 30)})

	archive := "!<arch>\n" + strings.Repeat("\x00go", 50_000)
	for name, test := range map[string]struct{ body, rule string }{
		"nothing":             {"", ""},
		"none":                {fake(digits, 1<<20), ""},
		"another variable":    {fake(letters, 30), ""},
		"short":               {short, "value of A_TOKEN"},
		"short, cut":          {short[:7], ""},
		"long":                {"x" + long + "x", "value of B_SECRET"},
		"long, cut":           {long[:2999], ""},
		"long, from 2nd byte": {long[1:], ""},
		"lines":               {lines, "value of C_KEY"},
		"lines, with LF":      {strings.ReplaceAll(lines, "\r", ""), "value of C_KEY"},
		"one of the lines":    {fake(word, 64), ""},
		"in an archive":       {archive + short + archive, "value of A_TOKEN"},
		"in an index":         {"go index v2\n" + short, "value of A_TOKEN"},
		"at an archive's end": {archive + long, "value of B_SECRET"},
		"a shape, far in one": {archive + "-----BEGIN PRIVATE KEY-----" + archive, ""},
		"an archive in a log": {strings.Repeat("\n!<arch>\n", 50_000) + "-----BEGIN PRIVATE KEY-----", "private key"},
		"far in a log":        {strings.Repeat("=== RUN\n", 100_000) + long + "\n", "value of B_SECRET"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := scan(f, test.body); got != test.rule {
				t.Errorf("found %q, want %q", got, test.rule)
			}
		})
	}
}

// splits returns a filter with small windows, and bodies to be cut in every way, with the
// rules that they match.
func splits() (f *Filter, bodies map[string]struct{ body, rule string }) {
	value := fake(word, 12)
	aws := "AKIA" + fake(capitals+digits, 16)
	bodies = map[string]struct{ body, rule string }{
		"value":                {" " + value + " ", "value of TOKEN"},
		"value in an archive":  {"!<arch>\n" + value, "value of TOKEN"},
		"an archive":           {"!<arch>\n" + aws, ""},
		"an index":             {"go index v2\n" + aws, ""},
		"a program":            {"\x7fELF" + aws, ""},
		"nearly an archive":    {"!<arch>" + aws, "AWS access key"},
		"AWS":                  {"-" + aws + "-", "AWS access key"},
		"AWS, alone":           {aws, "AWS access key"},
		"AWS, a longer word":   {aws + "A", ""},
		"AWS, longer in front": {"A" + aws, ""},
	}
	for rule, all := range samples() {
		for i, sample := range all {
			bodies[fmt.Sprint(rule, " ", i)] = struct{ body, rule string }{"\n" + sample + "\n", rule}
		}
	}
	return small([]string{"TOKEN=" + value}), bodies
}

func TestEverySplit(t *testing.T) {
	f, bodies := splits()
	for name, test := range bodies {
		t.Run(name, func(t *testing.T) {
			for cut := range len(test.body) + 1 {
				s := f.NewScan()
				io.WriteString(s, test.body[:cut])
				s.Found() // must change nothing
				io.WriteString(s, test.body[cut:])
				if got := s.Found(); got != test.rule {
					t.Fatalf("cut at %d: found %q, want %q", cut, got, test.rule)
				}
			}
		})
	}
}

func TestTinyWrites(t *testing.T) {
	f, bodies := splits()
	for name, test := range bodies {
		t.Run(name, func(t *testing.T) {
			s := f.NewScan()
			for i := range len(test.body) {
				if n, err := s.Write([]byte{test.body[i]}); n != 1 || err != nil {
					t.Fatalf("write: %d, %v", n, err)
				}
			}
			if got := s.Found(); got != test.rule {
				t.Errorf("found %q, want %q", got, test.rule)
			}
		})
	}
}

// TestEveryPlace moves a secret through the windows byte by byte: it must be found at each
// place, and nothing else.
func TestEveryPlace(t *testing.T) {
	value, long := fake(word, 12), fake(word, 300)
	aws := "AKIA" + fake(capitals+digits, 16)
	short, wide := small([]string{"TOKEN=" + value}), small([]string{"TOKEN=" + value, "LONG_TOKEN=" + long})
	for name, test := range map[string]struct {
		filter     *Filter
		body, rule string
	}{
		"value":              {short, value, "value of TOKEN"},
		"value, wide":        {wide, value, "value of TOKEN"},
		"long value":         {wide, long, "value of LONG_TOKEN"},
		"AWS":                {short, "-" + aws + "-", "AWS access key"},
		"AWS, a longer word": {short, "-" + aws + "A", ""},
		"AWS, wide":          {wide, "-" + aws + "-", "AWS access key"},
		"GitHub":             {wide, "github_pat_" + fake(word, 22) + "_" + fake(word, 59), "GitHub token"},
	} {
		t.Run(name, func(t *testing.T) {
			for before := range 2 * test.filter.windowSize {
				for _, after := range []int{0, 1, 1000} {
					body := strings.Repeat("-", before) + test.body + strings.Repeat("-", after)
					if got := scan(test.filter, body); got != test.rule {
						t.Fatalf("%d bytes before it, %d behind it: found %q, want %q", before, after, got, test.rule)
					}
				}
			}
		})
	}
}

// TestBorders moves a secret over the borders between windows of the usual size.
func TestBorders(t *testing.T) {
	value := fake(word, 12)
	f := New([]string{"TOKEN=" + value})
	body := bytes.Repeat([]byte("-"), 3*step)
	for _, border := range []int{f.windowSize, f.windowSize + step} {
		for at := border - 20; at < border+20; at++ {
			copy(body[at:], value)
			s := f.NewScan()
			for piece := range slices.Chunk(body, 10_000) {
				s.Write(piece)
			}
			if got := s.Found(); got != "value of TOKEN" {
				t.Errorf("at %d: found %q", at, got)
			}
			copy(body[at:], "------------")
		}
	}
}

func TestFoundSoFar(t *testing.T) {
	aws := "AKIA" + fake(capitals+digits, 16)
	s := New(nil).NewScan()
	for i, step := range []struct{ piece, rule string }{
		{"", ""},
		{"id " + aws[:19], ""},
		{aws[19:], "AWS access key"},
		{"X", ""}, // it is a longer word now
		{"\n" + aws, "AWS access key"},
		{"\n", "AWS access key"},
		{strings.Repeat("-", 3*step), "AWS access key"},
		{aws + "\n", "AWS access key"},
	} {
		if n, err := io.WriteString(s, step.piece); n != len(step.piece) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
		for range 2 {
			if got := s.Found(); got != step.rule {
				t.Errorf("after piece %d: found %q, want %q", i, got, step.rule)
			}
		}
	}
	if s.window != nil {
		t.Error("what is found is still searched")
	}
}

// TestMemory checks that the size of the window does not depend on the size of the body.
func TestMemory(t *testing.T) {
	f := New([]string{"TOKEN=" + fake(word, 2000)})
	for name, begin := range map[string]string{"a log": "=== RUN", "an archive": "!<arch>\n"} {
		t.Run(name, func(t *testing.T) {
			s := f.NewScan()
			io.WriteString(s, begin)
			for range 100 {
				s.Write(make([]byte, 300_000))
			}
			if cap(s.window) > 2*f.windowSize {
				t.Errorf("it keeps %d bytes, of windows of %d", cap(s.window), f.windowSize)
			}
		})
	}
}

// FuzzScan compares a scan, with windows and pieces of any size, with a search through the
// whole body.
func FuzzScan(f *testing.F) {
	value := fake(word, 12)
	_, bodies := splits()
	for _, test := range bodies {
		f.Add([]byte(test.body), value, uint16(0), uint64(1))
	}
	f.Add([]byte("-----"+value+"\n"+value+"-----"), value+"\r\n"+value, uint16(10), uint64(2))
	f.Fuzz(func(t *testing.T, body []byte, value string, more uint16, seed uint64) {
		if len(body) > 2000 || len(value) > 1000 {
			t.Skip("too long to be searched again and again")
		}
		filter := small([]string{"TOKEN=" + value, "HALF_TOKEN=" + value[:len(value)/2]})
		filter.windowSize += int(more) % 1000
		r := rand.New(rand.NewPCG(seed, 0))
		s := filter.NewScan()
		for done := 0; ; {
			if done == len(body) || r.IntN(8) == 0 {
				want := whole(filter, body[:done])
				if got := s.Found(); got == "" && len(want) > 0 || got != "" && !slices.Contains(want, got) {
					t.Fatalf("after %d bytes: found %q, want one of %q", done, got, want)
				}
			}
			if done == len(body) {
				break
			}
			n := min(1+r.IntN(1+r.IntN(300)), len(body)-done)
			if written, err := s.Write(body[done : done+n]); written != n || err != nil {
				t.Fatalf("write: %d, %v", written, err)
			}
			done += n
		}
	})
}

// whole searches body as a whole and returns every rule that it matches.
func whole(f *Filter, body []byte) (rules []string) {
	for _, v := range f.values {
		if bytes.Contains(body, v.text) {
			rules = append(rules, v.rule)
		}
	}
	if isCompiled(body) {
		return rules
	}
	between := slices.Concat([]byte("\n"), body, []byte("\n"))
	for _, s := range f.shapes {
		if s.pattern.Match(between) {
			rules = append(rules, s.rule)
		}
	}
	return rules
}

func BenchmarkNew(b *testing.B) {
	environ := runnerEnviron()
	for b.Loop() {
		New(environ)
	}
}

// BenchmarkScan measures the search through archives, as a cold build puts them, and
// through Go source, as an example of text.
func BenchmarkScan(b *testing.B) {
	list := func(args ...string) []string {
		out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
		if err != nil {
			b.Fatal(err)
		}
		return strings.Fields(string(out))
	}
	archives := list("-export", "-f", "{{.Export}}", "net/http", "runtime", "go/types")
	sources := list("-f", `{{$dir := .Dir}}{{range .GoFiles}}{{$dir}}/{{.}}{{"\n"}}{{end}}`, "net/http")
	environ := runnerEnviron()
	for _, test := range []struct {
		name    string
		files   []string
		environ []string
	}{
		{"archives, no values", archives, nil},
		{"archives, 1 value", archives, environ[:1]},
		{"archives, 10 values", archives, environ},
		{"text, no values", sources, nil},
		{"text, 10 values", sources, environ},
	} {
		b.Run(test.name, func(b *testing.B) {
			f := New(test.environ)
			var bodies [][]byte
			var size int64
			for _, name := range test.files {
				body, err := os.ReadFile(name)
				if err != nil {
					b.Fatal(err)
				}
				bodies = append(bodies, body)
				size += int64(len(body))
			}
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				for _, body := range bodies {
					s := f.NewScan()
					for piece := range slices.Chunk(body, 64<<10) {
						s.Write(piece)
					}
					if rule := s.Found(); rule != "" {
						b.Fatalf("found %q", rule)
					}
				}
			}
		})
	}
}

// runnerEnviron returns ten variables, as a job on a GitHub runner may have them if it was
// given a few secrets.
func runnerEnviron() []string {
	return []string{
		"ACTIONS_RUNTIME_TOKEN=eyJ" + fake(word+"-_.", 1500),
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN=eyJ" + fake(word+"-_.", 1000),
		"ACTIONS_ID_TOKEN_REQUEST_URL=https://pipelines.example/" + fake(word, 120),
		"GITHUB_TOKEN=ghs_" + fake(word, 36),
		"AWS_ACCESS_KEY_ID=AKIA" + fake(capitals+digits, 16),
		"AWS_SECRET_ACCESS_KEY=" + fake(word+"+/", 40),
		"AWS_SESSION_TOKEN=IQoJb3JpZ2luX2VjE" + fake(word+"+/", 800),
		"DEPLOY_KEY=-----BEGIN OPENSSH" + fake(word+"+/\n", 400),
		"SLACK_TOKEN=xoxb-" + fake(digits, 12) + "-" + fake(word, 24),
		"DB_PASSWORD=" + fake(word+"!$%&*", 20),
	}
}
