package main

import (
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// TestPlan: a round depends on the seed and its number alone.
func TestPlan(t *testing.T) {
	t.Parallel()
	texts := func(seed uint64, number int) (texts []string) {
		for _, b := range newPlan(options{seed: seed, kinds: kinds}, number).builds {
			texts = append(texts, b.String())
		}
		return texts
	}
	first := texts(1, 1)
	if again := texts(1, 1); !reflect.DeepEqual(first, again) {
		t.Errorf("one round is drawn in two ways:\n%s\n%s", first, again)
	}
	if reflect.DeepEqual(first, texts(1, 2)) || reflect.DeepEqual(first, texts(2, 1)) {
		t.Error("two rounds are the same")
	}
}

// TestLastBuild: a round ends with a build whose uses get into the manifest, whichever
// kinds of faults are drawn from.
func TestLastBuild(t *testing.T) {
	t.Parallel()
	for _, k := range kinds {
		for number := range 20 {
			builds := newPlan(options{kinds: []*kind{k}}, number).builds
			if last := builds[len(builds)-1]; last.goal != everything || last.kind.amid {
				t.Errorf("-kinds %s: round %d ends with %v", k.name, number, last)
			}
		}
	}
}

// TestEdits: an edit leaves the state before it as it is.
func TestEdits(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(0, 0))
	m := newModule()
	for range 200 {
		before := m.files()
		next, edit := m.edited(random)
		if !reflect.DeepEqual(before, m.files()) {
			t.Fatalf("%s: the module before the edit has changed", edit)
		}
		m = next
	}
}

// TestDifference: what larder must not change is noticed.
func TestDifference(t *testing.T) {
	t.Parallel()
	outcomeOf := func(status int, stdout, stderr string) outcome {
		o, err := newOutcome(status, stdout, stderr, "", false)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	want := outcomeOf(1, "ok  \ta\t0.01s\n--- FAIL: TestB (0.00s)\n", "# c\n")
	for name, test := range map[string]struct {
		got  outcome
		same bool
	}{
		"times and order":   {outcomeOf(1, "--- FAIL: TestB (0.02s)\nok  \ta\t(cached)\n", "# c\n"), true},
		"larder's own line": {outcomeOf(1, "ok  \ta\t0.01s\n--- FAIL: TestB (0.00s)\n", "larder: the remote is down\n# c\n"), true},
		"the status":        {outcomeOf(0, "ok  \ta\t0.01s\n--- FAIL: TestB (0.00s)\n", "# c\n"), false},
		"the output":        {outcomeOf(1, "ok  \ta\t0.01s\n", "# c\n"), false},
		"the errors":        {outcomeOf(1, "ok  \ta\t0.01s\n--- FAIL: TestB (0.00s)\n", "# d\n"), false},
	} {
		if got := test.got.difference(want); (got == "") != test.same {
			t.Errorf("%s: difference %q", name, got)
		}
	}
}

// TestParse: what is wrong in the command line is named, with what is allowed.
func TestParse(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-faults 0":         "-faults",
		"-kinds 503,nobody": `no kind "nobody"; there are none, together, 503`,
		"-kinds 503 more":   `unknown argument "more"`,
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", args, err, want)
		}
	}
	o, err := parse(strings.Fields("-kinds 503,hang -seed 7 -from 3"), io.Discard)
	if err != nil || len(o.kinds) != 2 || o.seed != 7 || o.from != 3 {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := parse([]string{"-kinds=-clock"}, io.Discard); err != nil || len(o.kinds) != len(kinds)-1 {
		t.Errorf("without one kind: %d of %d kinds, %v", len(o.kinds), len(kinds), err)
	}
}
