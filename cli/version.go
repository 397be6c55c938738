package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	urfave "github.com/urfave/cli/v3"
)

// versionInfo is the result of larder version.
type versionInfo struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source, where it was built in a checkout
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
		Usage: "print the version",
		Flags: []urfave.Flag{jsonFlag()},
		Action: func(_ context.Context, cmd *urfave.Command) error {
			if err := wantNoArguments(cmd); err != nil {
				return err
			}
			b := versionInfo{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			if info, ok := debug.ReadBuildInfo(); ok {
				b.Version = info.Main.Version
				for _, setting := range info.Settings {
					if setting.Key == "vcs.revision" {
						b.Revision = setting.Value
					}
				}
			}
			return p.print(cmd, b)
		},
	}
}
