package cli

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	urfave "github.com/urfave/cli/v3"
	"golang.org/x/mod/module"
)

// A release is built from a folder of source files alone, so that everybody can build the same
// bytes again. There the linker sets these variables, with -X; see .ci/run.
var (
	releaseVersion  string // of the module
	releaseRevision string // commit of the source
)

// versionInfo is the result of larder version.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // commit of the source, where it is known
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (v versionInfo) String() string {
	text := fmt.Sprintf("larder %s %s %s", v.Version, v.Go, v.Platform)
	if v.Revision != "" {
		text += " " + v.Revision
	}
	return text
}

func (p *program) versionCommand() *urfave.Command {
	return &urfave.Command{
		Name:  "version",
		Usage: "print the version, the commit and the version of Go",
		Flags: []urfave.Flag{jsonFlag()},
		Action: func(_ context.Context, cmd *urfave.Command) error {
			if err := wantNoArguments(cmd); err != nil {
				return err
			}
			return p.print(cmd, thisVersion())
		},
	}
}

// thisVersion returns what is known of this program.
func thisVersion() versionInfo {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = new(debug.BuildInfo)
	}
	return newVersionInfo(info, releaseVersion, releaseRevision)
}

// newVersionInfo returns what info says of this program. version and revision count more, if
// they are not empty.
func newVersionInfo(info *debug.BuildInfo, version, revision string) versionInfo {
	v := versionInfo{
		Version:  cmp.Or(version, info.Main.Version, "unknown"),
		Revision: revision,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && v.Revision == "" {
			v.Revision = setting.Value
		}
	}
	if v.Revision == "" && module.IsPseudoVersion(v.Version) { // go install …@main
		v.Revision, _ = module.PseudoVersionRev(v.Version)
	}
	return v
}
