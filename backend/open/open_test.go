package open_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/backend/backendtest"
	"github.com/larderbuild/larder/backend/open"
	"github.com/larderbuild/larder/testserver"
)

func TestStore(t *testing.T) {
	s3, gcs, azure := testserver.S3(t), testserver.GCS(t), testserver.Azure(t)
	s3.Setenv(t)
	azure.Setenv(t)
	azure.Container(t, "container")
	s3.Bucket(t, "bucket")
	gcs.Bucket(t, "bucket")
	for name, url := range map[string]string{
		"file":   "file:///" + strings.TrimPrefix(filepath.ToSlash(t.TempDir()), "/"),
		"s3":     s3.URL("bucket", "/prefix"),
		"gs":     gcs.URL("bucket", "/prefix/"),
		"azblob": azure.URL("container", "/prefix"),
	} {
		t.Run(name, func(t *testing.T) {
			if err := open.Check(url); err != nil {
				t.Fatal(err)
			}
			s, err := open.Store(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			backendtest.PutBytes(t, s, "key", []byte("x"))
			for obj, err := range s.List(t.Context(), "") {
				if err != nil || obj.Key != "key" {
					t.Errorf("listed %+v, %v", obj, err)
				}
			}
		})
	}
}

// disk begins absolute paths in URLs on Windows, and is empty elsewhere.
var disk = strings.TrimPrefix(filepath.ToSlash(filepath.VolumeName(os.TempDir())+"/"), "/")

func TestCheckAccepts(t *testing.T) {
	for _, url := range []string{
		"azblob://account/container",
		"azblob://account1/my-container/some/prefix/?anonymous=true",
		"azblob://devstoreaccount1/container?endpoint=http://127.0.0.1:10000/devstoreaccount1",
		"azblob://account/container?endpoint=https%3A%2F%2Faccount.blob.core.chinacloudapi.cn",
		"file:///" + disk + "abs/dir",
		"file://localhost/" + disk + "abs/dir",
		"file:///" + disk + "dir%20with%20spaces/and%23",
		"gs://bucket",
		"gs://my_bucket.example.com/some/prefix/",
		"gs://bucket?endpoint=http://127.0.0.1:4443",
		"s3://bucket",
		"S3://bucket/prefix?region=eu-west-1",
		"s3://bucket--use1-az4--x-s3/prefix",
		"s3://bucket?sse=AES256&acl=bucket-owner-full-control&requester_pays=true&storage_class=STANDARD_IA",
		"s3://bucket?sse=aws:kms&kms_key=arn:aws:kms:eu-west-1:123456789012:key/1234abcd",
		"s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/my-ap",
		"s3://arn:aws:s3:eu-west-1:123456789012:accesspoint:my-ap/prefix?region=eu-west-2",
		"s3://arn:aws:s3::123456789012:accesspoint/abc.mrap/prefix",
		"s3://arn:aws:s3-outposts:eu-west-1:123456789012:outpost/op-1/accesspoint/my-ap/prefix",
		"s3://tenant:bucket/prefix",
		"gha://",
		"gha:///prefix",
		"http://host",
		"HTTPS://Host:8443/path/",
		"http://user:p%40ss@[::1]:80/a%2Fb?plain=true",
		"https://host/?http2=true&plain=false",
		"grpc://host",
		"GRPCS://user:p%40ss@[::1]:8980/a/b%20c/",
		"s3://bucket/p?endpoint=https%3A%2F%2Fminio.example%3A9000%2F&path_style=true&region=x&anonymous=false",
	} {
		if err := open.Check(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestCheckNamesTheMistake(t *testing.T) {
	for _, test := range []struct {
		name, url string
		want      []string // the mistake, and what is allowed
	}{
		{"empty", "", []string{"not the URL", "file:///abs/dir", "gs://bucket", "s3://bucket"}},
		{"a path", "/abs/dir", []string{"not the URL", "file:///abs/dir"}},
		{"a path of Windows", `C:\dir`, []string{"not the URL", "file:///abs/dir"}},
		{"no scheme", "bucket/prefix", []string{"not the URL", "s3://bucket"}},
		{"unknown scheme", "ftp://host/dir", []string{`unknown scheme "ftp"`, "s3://bucket"}},
		{"misspelt scheme", "gcs://bucket", []string{`unknown scheme "gcs"`, "gs://bucket"}},
		{"no bucket", "s3://", []string{"bucket is missing", "s3://bucket"}},
		{"no bucket, a prefix", "gs:///prefix", []string{"bucket is missing", "gs://bucket/prefix"}},
		{"illegal bucket", "s3://my!bucket", []string{"my!bucket", "has a '!'", "a-z"}},
		{"bucket in capitals", "s3://My-Bucket", []string{"My-Bucket", "capital letters", "a-z"}},
		{"short bucket", "gs://ab", []string{`"ab"`, "too short", "3 or more"}},
		{"long bucket", "gs://" + strings.Repeat("x", 223), []string{"longer than 222"}},
		{"dash before a bucket", "s3://-bucket", []string{"begins with a '-'"}},
		{"dot behind a bucket", "s3://bucket./prefix", []string{"ends with a '.'"}},
		{"ARN of a bucket", "s3://arn:aws:s3:::my-bucket/prefix", []string{"ARN of a bucket", "s3://my-bucket"}},
		{"ARN of a role", "s3://arn:aws:iam::123456789012:role/go", []string{"not the ARN of an access point", "accesspoint/NAME"}},
		{"half an ARN", "s3://arn:aws:s3/prefix", []string{"no ARN", "accesspoint/NAME"}},
		{"tenant without a bucket", "s3://tenant:/prefix", []string{"port", "endpoint"}},
		{"bucket without a tenant", "s3://:bucket/prefix", []string{`":bucket"`, "tenant:bucket"}},
		{"two tenants", "s3://a:b:bucket/prefix", []string{`"a:b:bucket"`, "tenant:bucket"}},
		{"illegal bucket of a tenant", "s3://tenant:Bucket", []string{`"Bucket"`, "capital letters"}},
		{"tenant at Google", "gs://tenant:bucket", []string{"malformed URL"}},
		{"a repository's cache by its name", "gha://owner/repo", []string{`"owner"`, "gha://", "one cache"}},
		{"no account", "azblob:///container", []string{"account is missing", "azblob://account/container"}},
		{"no container", "azblob://account", []string{"container is missing", "azblob://account/container"}},
		{"account with its domain", "azblob://account.blob.core.windows.net/container", []string{`"account.blob.core.windows.net"`, "a-z and 0-9", "endpoint"}},
		{"account in capitals", "azblob://Account/container", []string{`"Account"`, "a-z and 0-9"}},
		{"short account", "azblob://ab/container", []string{`"ab"`, "3 to 24"}},
		{"container in capitals", "azblob://account/Container", []string{`"Container"`, "a-z, 0-9", "dashes"}},
		{"two dashes", "azblob://account/a--b", []string{`"a--b"`, "single dashes"}},
		{"dash behind a container", "azblob://account/container-", []string{`"container-"`, "between them"}},
		{"long container", "azblob://account/" + strings.Repeat("x", 64), []string{"3 to 63"}},
		{"SAS token", "azblob://account/container?sv=2021&sig=hunter2", []string{"SAS token", "AZURE_STORAGE_SAS_TOKEN"}},
		{"address of an emulator", "azblob://account/container?endpoint=http://127.0.0.1:10000", []string{"endpoint", "http://127.0.0.1:10000/account"}},
		{"name of an emulator", "azblob://account/container?endpoint=http://azurite:10000/", []string{"http://azurite:10000/account"}},
		{"parameter of S3", "azblob://account/container?region=x", []string{"region", "endpoint, anonymous"}},
		{"neither true nor false", "azblob://account/container?anonymous=1", []string{"anonymous", "true or false"}},
		{"port", "s3://localhost:9000/bucket", []string{"port", "endpoint"}},
		{"unknown parameter", "s3://bucket?regoin=x", []string{"regoin", "region, endpoint, path_style, anonymous"}},
		{"parameter of another driver", "gs://bucket?region=x", []string{"region", "endpoint"}},
		{"parameter of a directory", "file:///dir?region=x", []string{"region", "none"}},
		{"parameter twice", "s3://bucket?region=a&region=b", []string{"region", "2 times", "once"}},
		{"empty parameter", "s3://bucket?region=", []string{"region", "empty"}},
		{"bad boolean", "s3://bucket?path_style=maybe", []string{"path_style", "true or false"}},
		{"encryption", "s3://bucket?sse=kms", []string{"sse", "AES256, aws:kms, aws:kms:dsse"}},
		{"key without encryption", "s3://bucket?kms_key=k", []string{"kms_key", "sse=aws:kms"}},
		{"key of another encryption", "s3://bucket?kms_key=k&sse=AES256", []string{"kms_key", "sse=aws:kms"}},
		{"ACL", "s3://bucket?acl=owner", []string{"acl", "private, ", "bucket-owner-full-control"}},
		{"storage class that is not readable at once", "s3://bucket?storage_class=DEEP_ARCHIVE", []string{"storage_class", "STANDARD, STANDARD_IA"}},
		{"who pays", "s3://bucket?requester_pays=requester", []string{"requester_pays", "true or false"}},
		{"endpoint without scheme", "s3://bucket?endpoint=localhost:9000", []string{"endpoint", "https://host:port"}},
		{"endpoint of another scheme", "gs://bucket?endpoint=ftp://host", []string{"endpoint", "https://host:port"}},
		{"malformed parameters", "s3://bucket?region=%zz", []string{"malformed parameters", "name=value"}},
		{"relative directory", "file:dir", []string{"slashes", "file:"}},
		{"host", "file://host/dir", []string{"no host", `"host"`, "file:///"}},
		{"no directory", "file:///", []string{"directory is missing", "file:///" + disk + "abs/dir"}},
		{"dots", "s3://bucket/a/../b", []string{"..", "must not"}},
		{"escaped dots", "file:///a/%2e%2e/b", []string{"..", "must not"}},
		{"control character", "s3://bucket/a%00b", []string{"control"}},
		{"fragment", "s3://bucket/a#b", []string{"fragment", "%23"}},
		{"empty fragment", "s3://bucket/a#", []string{"fragment", "%23"}},
		{"malformed", "s3://bucket/%zz", []string{"malformed URL"}},
		{"space", " s3://bucket", []string{"not the URL"}},
		{"no server", "http://", []string{"host is missing", "http://host:port/path"}},
		{"no server, a port", "https://:443", []string{"host is missing", "https://host:port/path"}},
		{"HTTP/2 without TLS", "http://host?http2=true", []string{"http2", "https://"}},
		{"parameter of S3 for a server", "https://host?region=x", []string{"region", "plain, http2"}},
		{"neither plain nor not", "http://host?plain=1", []string{"plain", "true or false"}},
		{"@ in a path", "http://host/@scope", []string{"malformed URL", "%40"}},
		{"no cache", "grpc://", []string{"host is missing", "grpc://host:port/instance"}},
		{"word of the API as an instance", "grpcs://host/team/blobs", []string{"/team/blobs", "a word of the API"}},
		{"parameter of a cache", "grpcs://host?tls=true", []string{"tls", "none"}},
		{"user", "s3://user:hunter2@bucket", []string{"user", "environment"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := open.Check(test.url)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if _, opened := open.Store(t.Context(), test.url); opened == nil || opened.Error() != err.Error() {
				t.Errorf("Store says %v, Check %v", opened, err)
			}
		})
	}
}

func TestNoSecretIsRepeated(t *testing.T) {
	for _, url := range []string{
		"s3://AKIAX:hunter2@bucket/prefix",
		"s3://hunter2@bucket",
		"gs://user:hun/ter2-hunter2@bucket",
		"s3://user:hun/ter2-hunter2@bucket",
		"s3://user:hunter2%zz@bucket",
		"s3:user:hunter2@bucket",
		"user:hunter2@bucket",
		"ftp://user:hunter2@host",
		"file://user:hunter2@host/dir",
		"s3://bucket?secret_key=hunter2",
		"s3://bucket?region=x&secret=hunter2&secret=hunter2",
		"s3://bucket?hunter2",
		"s3://bucket?endpoint=https://user:hunter2@host",
		"s3://bucket?endpoint=https%3A%2F%2Fuser%3Ahunter2%40host",
		"s3://bucket?path_style=true&token=hunter2%zz",
		"s3://bucket/p#hunter2",
		"s3://user:hunter2@bucket:port",
		"azblob://account:hunter2@account/container",
		"http://user:hun/ter2-hunter2@host",
		"https://user:12/../hunter2@host",
		"http://user:12?hunter2@host=1",
		"http://user:hunter2@host?http2=true",
		"https://user:hunter2@host?token=hunter2",
		"https://host/path?hunter2",
		"http:user:hunter2@host",
		"grpc:user:hunter2@host",
		"grpcs://user:hunter2@host/blobs",
		"azblob://account/container?sv=2021-12-02&se=2027-01-01&sig=hunter2",
		"azblob://account/container?endpoint=https://account.blob.core.windows.net/?sig=hunter2",
	} {
		if got := open.Redact(url); strings.Contains(got, "hunter2") {
			t.Errorf("Redact(%s) = %s", url, got)
		}
		if err := open.Check(url); err == nil {
			t.Errorf("Check(%s) accepted it", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Check(%s) = %v", url, err)
		}
	}
}

func TestRedactKeepsTheRest(t *testing.T) {
	for url, want := range map[string]string{
		"s3://bucket/prefix?region=eu-west-1&path_style=true":   "s3://bucket/prefix?region=eu-west-1&path_style=true",
		"gs://bucket?endpoint=http://127.0.0.1:4443":            "gs://bucket?endpoint=http://127.0.0.1:4443",
		"s3://bucket?sse=kms&acl=private&requester_pays=1":      "s3://bucket?sse=kms&acl=private&requester_pays=1",
		"s3://user:secret@bucket/prefix?token=secret":           "s3://…@bucket/prefix?token=…",
		"grpcs://user:secret@host:1/team?x=secret":              "grpcs://…@host:1/team?x=…",
		"rediss://user:secret@host/1?ttl=24h&prefix=ci:":        "rediss://…@host/1?ttl=24h&prefix=ci:",
		"https://user:secret@host:1/path?plain=true&http2=true": "https://…@host:1/path?plain=true&http2=true",
		"HTTP://:secret@Host/?plain=a@b&token=secret":           "HTTP://…@Host/?plain=…&token=…",
		"http://user:se/cret@host/path#secret":                  "http://…@host/path#…",
		"rediss://user:12?secret@host=1&addr=u:secret@host":     "rediss://user:12?…&addr=…",
		"not a url": "not a url",
	} {
		if got := open.Redact(url); got != want {
			t.Errorf("Redact(%s) = %s, want %s", url, got, want)
		}
	}
}

// TestTraits: what is known of a store by its URL is what the store says itself.
func TestTraits(t *testing.T) {
	t.Setenv("ACTIONS_RESULTS_URL", "http://127.0.0.1:1/")
	t.Setenv("ACTIONS_RUNTIME_TOKEN", "token")
	t.Setenv("GITHUB_SERVER_URL", "")
	for url, want := range map[string]backend.Traits{
		"azblob://account/container?anonymous=true": {},
		"file:///" + disk + "dir":                   {Ownerless: true},
		"gs://bucket":                               {},
		"s3://bucket?region=x":                      {},
		"http://host":                               {},
		"HTTPS://user:secret@Host/path?http2=true":  {},
		"http://host?plain=true":                    {Unconditional: true, Unlisted: true},
		"grpc://host":                               {Unconditional: true, Unlisted: true},
		"grpcs://user:secret@host:1/team":           {Unconditional: true, Unlisted: true},
		"redis://host":                              {UnreadDays: 7},
		"rediss://host?ttl=47h":                     {UnreadDays: 1},
		"rediss://host?ttl=0":                       {},
		"gha://":                                    {Scarce: true, Unconditional: true, Unlisted: true, Appends: true, UnreadDays: 7},
	} {
		if got := open.Traits(url); got != want {
			t.Errorf("%s: %+v, want %+v", url, got, want)
		}
		s, err := open.Store(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Traits(); got != want {
			t.Errorf("the store at %s: %+v, want %+v", url, got, want)
		}
		s.Close()
	}
	for _, url := range []string{"", "ftp://host"} {
		if got := open.Traits(url); got != (backend.Traits{}) {
			t.Errorf("%q: %+v", url, got)
		}
	}
}
