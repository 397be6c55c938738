package cli

import (
	"runtime/debug"
	"testing"
)

// TestVersion: the version and the commit are known, however larder was built.
func TestVersion(t *testing.T) {
	stamped := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "c0ffee"}}
	for _, test := range []struct {
		name              string
		main              string
		settings          []debug.BuildSetting
		version, revision string // as the linker sets them
		want              [2]string
	}{
		{"go build in a checkout", "v1.2.4-0.20261126200400-c0ffeec0ffee+dirty", stamped, "", "", [2]string{"v1.2.4-0.20261126200400-c0ffeec0ffee+dirty", "c0ffee"}},
		{"go build -buildvcs=false", "(devel)", nil, "", "", [2]string{"(devel)", ""}},
		{"go install at a tag", "v1.2.3", nil, "", "", [2]string{"v1.2.3", ""}},
		{"go install at a commit", "v1.2.4-0.20261126200400-c0ffeec0ffee", nil, "", "", [2]string{"v1.2.4-0.20261126200400-c0ffeec0ffee", "c0ffeec0ffee"}},
		{"a release", "(devel)", nil, "v1.2.3", "c0ffee", [2]string{"v1.2.3", "c0ffee"}},
		{"without modules", "", nil, "", "", [2]string{"unknown", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			info := &debug.BuildInfo{Main: debug.Module{Version: test.main}, Settings: test.settings}
			got := newVersionInfo(info, test.version, test.revision)
			if got.Version != test.want[0] || got.Revision != test.want[1] || got.Go == "" || got.Platform == "" {
				t.Errorf("got %+v, want %s", got, test.want)
			}
		})
	}
}
