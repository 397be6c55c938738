package integration

import (
	"bytes"
	"strings"
	"testing"

	"github.com/larderbuild/larder/entry"
)

// testLocalTier checks that a session does not sign what an earlier session fetched
// under other settings, and which it would not believe itself. If it did, machines that
// trust its key and never saw the attacker's objects would get them.
func (p *poisoned) testLocalTier(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(*attacker)
		then []string // settings of the session that fetches it
	}{
		{
			"fetched before anything was signed",
			func(a *attacker) { a.write(a.preyKey(), a.evilObject(entry.Signer{})) },
			nil,
		}, {
			"fetched for another scope",
			func(a *attacker) {
				a.write(strings.Replace(a.preyKey(), "/main/", "/pr-7/", 1), a.evilObject(entry.Signer{Key: a.trusted(), Scope: "pr-7"}))
			},
			[]string{"LARDER_SCOPE=pr-7", "LARDER_TRUST=" + p.trust},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.attack(t, attack{do: test.do})
			m := p.machine(t, p.endpoint, append(test.then, "LARDER_READONLY=true", byLookup.setting())...)
			if _, program := p.attempt(t, m); p.run(t, program) != p.evil.says {
				t.Fatal("the evil package is not in the local tier: this test shows nothing")
			}
			now := p.settings(eager.setting(), "LARDER_READONLY=false", "LARDER_SIGN_KEY="+p.key.Text(), "LARDER_BENCH_PREFETCH=true")
			m.env = append(m.env, now...)
			r, _ := p.attempt(t, m)
			if r.status != 0 || r.stderr != "" {
				t.Fatalf("exit status %d\n%s", r.status, r.stderr)
			}
			r, program := p.attempt(t, p.machine(t, p.endpoint, "LARDER_READONLY=true", "LARDER_TRUST="+p.trust, eager.setting()))
			if !bytes.Equal(program, p.program) {
				t.Errorf("the evil package has been signed, and found: %+v\n%s", r.stats, r.stderr)
			}
		})
	}
}
