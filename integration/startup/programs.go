package main

import (
	"fmt"
	"slices"
	"strings"
)

// program is a small program that uses a library.
type program struct {
	library string   // its name for people
	imports []string // what it imports besides os
	uses    string   // statements, which need not make sense: they are never reached
}

const (
	httpPackage = "net/http"
	httpUse     = `http.Get("")`
)

// programs returns a program for each library that larder links and that may cost much. All
// but the first one use net/http as well, since larder does.
func programs() []program {
	const s3 = "github.com/aws/aws-sdk-go-v2/service/s3"
	const s3Use = `s3.New(s3.Options{}).PutObject(context.Background(), nil)`
	list := []program{
		{"AWS SDK, service/s3", []string{"context", s3}, s3Use},
		{"the same, and config", []string{"context", s3, "github.com/aws/aws-sdk-go-v2/config"}, s3Use + `; config.LoadDefaultConfig(context.Background())`},
		{"golang.org/x/oauth2/google", []string{"context", "golang.org/x/oauth2/google"}, `google.FindDefaultCredentials(context.Background())`},
		{"Azure SDK, azblob and azidentity", []string{"github.com/Azure/azure-sdk-for-go/sdk/azidentity", "github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"}, `azidentity.NewDefaultAzureCredential(nil); container.NewClient("", nil, nil)`},
		{"redis/go-redis", []string{"github.com/redis/go-redis/v9"}, `redis.NewUniversalClient(&redis.UniversalOptions{}).Close()`},
		{"klauspost/compress/zstd", []string{"github.com/klauspost/compress/zstd"}, `zstd.NewReader(nil); zstd.NewWriter(nil)`},
		{"urfave/cli", []string{"context", "github.com/urfave/cli/v3"}, `new(cli.Command).Run(context.Background(), nil)`},
		{"schollz/progressbar", []string{"github.com/schollz/progressbar/v3"}, `progressbar.NewOptions(1).Add(1)`},
		{"shirou/gopsutil, disk", []string{"github.com/shirou/gopsutil/v4/disk"}, `disk.Usage("")`},
		{"dustin/go-humanize", []string{"github.com/dustin/go-humanize"}, `humanize.IBytes(1); humanize.ParseBytes("")`},
	}
	for i, p := range list {
		list[i].imports = slices.Concat(p.imports, []string{httpPackage})
		list[i].uses = p.uses + "; " + httpUse
	}
	return append([]program{
		{"an empty program", nil, ""},
		{"net/http", []string{httpPackage}, httpUse},
	}, list...)
}

// source returns the program's source. What it uses must not be run, but the compiler must
// take it to be.
func (p program) source() string {
	var b strings.Builder
	b.WriteString("package main\n\nimport (\n\t\"os\"\n")
	for _, path := range p.imports {
		fmt.Fprintf(&b, "\t%q\n", path)
	}
	fmt.Fprintf(&b, ")\n\nfunc main() {\n\tif len(os.Args) > 1 {\n%s\n}\n}\n", p.uses)
	return b.String()
}
