//go:build unix

package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/larderbuild/larder/testserver"
)

// TestRemoteRecipes builds on two machines with the variables that docs/remotes has for each
// store. Hosts and credentials are replaced by those of a server on this machine.
func TestRemoteRecipes(t *testing.T) {
	t.Parallel()
	const folder = "../docs/remotes"
	c := usualChain(t)
	s3, gcs, azure := testserver.S3(t), testserver.GCS(t), testserver.Azure(t)
	s3.Bucket(t, "my-bucket")
	gcs.Bucket(t, "my-bucket")
	azure.Container(t, "my-container")
	recipes := map[string][]string{ // what is replaced by what
		"s3.sh": {"region=eu-west-1", "region=" + s3.Region + "&path_style=true&endpoint=" + s3.Endpoint,
			"AKIAIOSFODNN7EXAMPLE", s3.AccessKey, "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", s3.SecretKey},
		"r2.sh": {"https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com&region=auto", s3.Endpoint + "&path_style=true&region=" + s3.Region,
			"/larder?", "/r2?", "023e105f4ecef8ad9ca31a8372d0c353", s3.AccessKey, "5ac2d1d9b1e1cbc2d9a8f4d50d4d5b7d", s3.SecretKey},
		"minio.sh": {"https://minio.example.com:9000", s3.Endpoint, "us-east-1", s3.Region,
			"/larder?", "/minio?", "KEY_ID=larder", "KEY_ID=" + s3.AccessKey, "a-long-password", s3.SecretKey},
		"gcs.sh": {"'gs://my-bucket/larder'", "'" + gcs.URL("my-bucket", "larder") + "'", "/etc/larder/google.json", ""},
		"azure.sh": {"'azblob://myaccount/my-container/larder'", "'" + azure.URL("my-container", "larder") + "'",
			"bm90IGEga2V5LCBidXQgYXMgbG9uZyBhcyBvbmUsIGluIGJhc2U2NC4uLi4uLi4uLi4uLi4uLi4uLi4uLg==", azure.Key},
		"redis.sh": {"rediss://larder@redis.example.com:6380", "redis://larder@" + redisOfRecipe(t, filepath.Join(folder, "redis.sh"))},
		"serve.sh": {"http://cache.example.com:8080", serveStore(t).endpoint},
	}
	elsewhere := []string{"buildbarn.sh", "s3-express.sh"} // what does not run here
	files, err := filepath.Glob(folder + "/*.sh")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recipes: %v", err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		if slices.Contains(elsewhere, name) || !whole && !slices.Contains([]string{"minio.sh", "redis.sh"}, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			replacements := recipes[name]
			if replacements == nil {
				t.Fatal("no test")
			}
			text := string(readFile(t, file))
			for i := 0; i < len(replacements); i += 2 {
				if !strings.Contains(text, replacements[i]) {
					t.Errorf("it does not have %q", replacements[i])
				}
			}
			env := exported(t, strings.NewReplacer(replacements...).Replace(text))
			s := store{url: func(string) string { return "" }, env: env} // which has LARDER_REMOTE
			s.fill(t, c)
			s.wantFull(t, c)
		})
	}
}

// exported returns the variables of larder's that a script exports.
func exported(t *testing.T, script string) (env []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "recipe.sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("env", "-i", "sh", "-ec", `. "$0"; env`, file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "LARDER_") {
			env = append(env, strings.TrimSpace(line))
		}
	}
	if len(env) == 0 {
		t.Fatalf("no variables:\n%s", out)
	}
	return env
}

// redisOfRecipe returns the host:port of a Redis server that was set up as the comments of a file
// say.
func redisOfRecipe(t *testing.T, file string) string {
	t.Helper()
	addr := testserver.Redis(t)
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	for line := range strings.Lines(string(readFile(t, file))) {
		command, ok := strings.CutPrefix(line, "#   ")
		if !ok {
			continue
		}
		var args []any
		for _, word := range strings.Fields(command) {
			args = append(args, word)
		}
		if err := client.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%s: %v", command, err)
		}
	}
	return addr
}
