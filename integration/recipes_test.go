package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/larderbuild/larder/testserver"
)

var commandOf = regexp.MustCompile(`(?m)^ *(?:command|args): (\[.*\])$`)

// TestServeRecipes starts larder serve as docs/remotes does in containers, with the rules of
// docs/serve.md. What lies elsewhere here is replaced.
func TestServeRecipes(t *testing.T) {
	page := string(readFile(t, "../docs/serve.md"))
	_, rules, _ := strings.Cut(page, "```json\n")
	rules, _, _ = strings.Cut(rules, "```")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.json"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	s3 := testserver.S3(t)
	s3.Bucket(t, "my-bucket")
	s3.Setenv(t)
	t.Setenv("AWS_ENDPOINT_URL_S3", s3.Endpoint)
	t.Setenv("LARDER_LOG", "info")
	for _, file := range []string{"compose.yml", "kubernetes.yml"} {
		t.Run(file, func(t *testing.T) {
			m := commandOf.FindSubmatch(readFile(t, filepath.Join("..", "docs", "remotes", file)))
			var args []string
			if m == nil || json.Unmarshal(m[1], &args) != nil {
				t.Fatal("no command of one line")
			}
			url := testserver.Start(t, "http", larder, func(port int) []string {
				here := strings.NewReplacer("file:///var/lib/larder", fileURL(filepath.Join(dir, "store")), "/etc/larder", dir,
					"region=eu-west-1", "region="+s3.Region+"&path_style=true", "--listen=:8080", listenAt(port))
				var replaced []string
				for _, arg := range args {
					replaced = append(replaced, here.Replace(arg))
				}
				return replaced
			})
			for path, want := range map[string]int{"/readyz": http.StatusOK, "/v1/main/key": http.StatusNotFound, "/v1/pr-1/key": http.StatusUnauthorized} {
				res, err := http.Get(url + path)
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if res.StatusCode != want {
					t.Errorf("%s: %s: %s", path, res.Status, text)
				}
			}
		})
	}
}
