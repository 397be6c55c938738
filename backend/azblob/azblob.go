// Package azblob stores objects as block blobs in a container of Azure Blob Storage or of
// a server that speaks its protocol, such as Azurite. An object's version is its ETag,
// without the quotation marks. The server checks the MD5 of the bytes that it gets.
//
// An object over 256 MiB is put in blocks. The server drops blocks that no object came to
// have, a week later.
//
// Each call is one attempt: the SDK's retries are off, and so is what it logs. The package
// does not follow redirects. It asks for a version of the protocol that is some years
// old, because Azurite refuses the newest one, which the SDK asks for.
package azblob

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/larderbuild/larder/backend"
)

const (
	// pageSize is how many objects one request of a List asks for.
	pageSize = 1000

	// apiVersion is the version of the protocol. It is the oldest one whose lists tell
	// folders from objects, and which takes the tokens of today.
	apiVersion = "2021-12-02"

	// contentType is the type of all objects.
	contentType = "application/octet-stream"
)

// silence turns the SDK's log off, which AZURE_SDK_GO_LOGGING=all, meant for the build's
// tests, directs to stderr.
var silence = sync.OnceFunc(func() { azlog.SetListener(nil) })

// Traits are those of all stores of this package.
func (Config) Traits() backend.Traits {
	return backend.Traits{}
}

// Open returns the store that cfg names. Open reads the environment and the files that it
// names. The store does not use the network before the first request. The caller closes
// it.
func Open(_ context.Context, cfg Config) (backend.Store, error) {
	silence()
	found, err := cfg.settings()
	if err != nil {
		return nil, err
	}
	transport := newTransport()
	client, err := newContainer(cfg, found, backend.LimitAnswers(transport))
	if err != nil {
		return nil, err
	}
	return backend.WithPrefix(&store{
		container:  client,
		transport:  transport,
		name:       cfg.Account + "/" + cfg.Container,
		expiry:     expiry(found.sas),
		largestPut: cmp.Or(cfg.largestPut, largestPut),
		block:      cmp.Or(cfg.block, usualBlock),
	}, cfg.Prefix), nil
}

// newTransport returns the transport of all requests, those of the login included.
func newTransport() *http.Transport {
	transport := backend.NewTransport()
	besideMetadata(transport)
	return transport
}

// newContainer returns the SDK's client of the container that cfg names. Its requests go
// through rt. They have the credentials in found, or, if there are none, those of a login.
func newContainer(cfg Config, found settings, rt http.RoundTripper) (*container.Client, error) {
	endpoint := cmp.Or(cfg.Endpoint, found.endpoint, "https://"+cfg.Account+".blob.core.windows.net")
	url := endpoint + "/" + cfg.Container
	options := &container.ClientOptions{
		ClientOptions:          clientOptions(rt),
		Audience:               audience,
		ExpectContinueBehavior: blob.ExpectContinueOptions{Mode: blob.ExpectContinueModeOff},
	}
	options.PerCallPolicies = []policy.Policy{versioned{}}
	switch {
	case cfg.Anonymous:
		return container.NewClientWithNoCredential(url, options)
	case found.sas != "":
		options.Transport = backend.NewClient(withSAS{rt, found.sas})
		return container.NewClientWithNoCredential(url, options)
	case found.key != nil:
		return container.NewClientWithSharedKeyCredential(url, found.key, options)
	case !strings.HasPrefix(endpoint, "https://"):
		return nil, fmt.Errorf("no key and no SAS token for account %s%s: %s has no TLS, so it gets no other credentials", cfg.Account, found.unused, endpoint)
	}
	login, err := newLogin(rt, found.unused)
	if err != nil {
		return nil, err
	}
	options.PerCallPolicies = append(options.PerCallPolicies, login)
	return container.NewClient(url, login, options)
}

// clientOptions returns what all clients of the SDK have in common.
func clientOptions(rt http.RoundTripper) azcore.ClientOptions {
	return azcore.ClientOptions{
		Transport: backend.NewClient(rt),
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
}

// versioned has requests ask for apiVersion.
type versioned struct{}

func (versioned) Do(req *policy.Request) (*http.Response, error) {
	req.Raw().Header["x-ms-version"] = []string{apiVersion} // as the SDK writes it
	return req.Next()
}

type store struct {
	container  *container.Client
	transport  *http.Transport
	name       string    // account/container
	expiry     time.Time // of the SAS token; zero: unknown, or there is none
	largestPut int64     // in bytes
	block      int64     // in bytes, unless an object would have too many
}

func (*store) Traits() backend.Traits { return Config{}.Traits() }

func (s *store) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	objectCtx, take := backend.ExpectObject(ctx)
	out, err := s.container.NewBlobClient(key).DownloadStream(objectCtx, &blob.DownloadStreamOptions{
		Range: blob.HTTPRange{Offset: r.Offset, Count: r.Length},
	})
	if err != nil {
		if status(err) == http.StatusRequestedRangeNotSatisfiable {
			return http.NoBody, backend.Object{Key: key}, nil
		}
		return nil, backend.Object{}, s.wrap(ctx, "get", key, err)
	}
	obj := backend.Object{Key: key, Size: value(out.ContentLength), Version: version(out.ETag)}
	if r != (backend.Range{}) {
		if obj.Size, err = backend.CheckContentRange(value(out.ContentRange), r); err != nil {
			out.Body.Close()
			return nil, backend.Object{}, backend.Wrap(ctx, "get", key, err)
		}
	}
	take()
	return backend.NewBody(ctx, key, out.Body), obj, nil
}

// value returns what p points to, or nothing.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// version returns the version that an ETag stands for. Azure's lists have no quotation
// marks, its other answers do. A proxy that compresses answers marks the ETag as weak, and
// no weak one ever fulfills a condition.
func version(etag *azcore.ETag) string {
	return strings.Trim(strings.TrimPrefix(string(value(etag)), "W/"), `"`)
}

// conditions returns the headers that stand for c.
func conditions(c backend.Condition) *blob.AccessConditions {
	headers := new(blob.ModifiedAccessConditions)
	switch {
	case c.Absent:
		headers.IfNoneMatch = to.Ptr(azcore.ETagAny)
	case c.Version != "":
		headers.IfMatch = to.Ptr(azcore.ETag(`"` + c.Version + `"`))
	}
	return &blob.AccessConditions{ModifiedAccessConditions: headers}
}

func (s *store) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	etag, err := s.put(ctx, key, body, opts)
	if err != nil {
		return backend.Object{}, s.wrapAnswer(ctx, "put", key, err, func(err error) error {
			return classifyPut(err, opts.If)
		})
	}
	return backend.Object{Key: key, Size: opts.Size, Version: version(etag)}, nil
}

func (s *store) put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (*azcore.ETag, error) {
	upload, err := backend.NewUpload(ctx, body, opts.Size)
	if err != nil {
		return nil, err
	}
	defer upload.Release()
	client := s.container.NewBlockBlobClient(key)
	if opts.Size > s.largestPut {
		return s.putInBlocks(ctx, client, upload, opts)
	}
	out, err := client.Upload(ctx, streaming.NopCloser(upload), &blockblob.UploadOptions{
		HTTPHeaders:             &blob.HTTPHeaders{BlobContentType: to.Ptr(contentType)},
		TransactionalValidation: blob.TransferValidationTypeMD5(opts.MD5[:]),
		AccessConditions:        conditions(opts.If),
	})
	return stored(out.ETag, err)
}

// stored returns the ETag of an answer to a Put. A store's answer has one. Without one, a
// proxy has answered in its place, and stored nothing.
func stored(etag *azcore.ETag, err error) (*azcore.ETag, error) {
	if err == nil && version(etag) == "" {
		return nil, errors.New("not a store's answer: it has no ETag")
	}
	return etag, err
}

func (s *store) Delete(ctx context.Context, key, version string) error {
	_, err := s.container.NewBlobClient(key).Delete(ctx, &blob.DeleteOptions{
		DeleteSnapshots:  to.Ptr(blob.DeleteSnapshotsOptionTypeInclude),
		AccessConditions: conditions(backend.Condition{Version: version}),
	})
	if err = s.wrap(ctx, "delete", key, err); errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	return err
}

func (s *store) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	return func(yield func(backend.Object, error) bool) {
		pages := s.container.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{
			Prefix:     &prefix,
			MaxResults: to.Ptr[int32](pageSize),
		})
		for pages.More() {
			page, err := pages.NextPage(ctx)
			if err == nil && page.Segment == nil {
				err = errors.New("not a store's answer: it has no list")
			}
			if err != nil {
				yield(backend.Object{}, s.wrap(ctx, "list", prefix, err))
				return
			}
			now := time.Now()
			if page.Date != nil {
				now = *page.Date
			}
			for _, item := range page.Segment.BlobItems {
				if obj, ok := listed(item, now); ok && !yield(obj, nil) {
					return
				}
			}
		}
	}
}

// listed returns the object that item describes. It returns false for a folder, which an
// account with a hierarchical namespace lists as well.
func listed(item *container.BlobItem, now time.Time) (backend.Object, bool) {
	p := item.Properties
	if item.Name == nil || p == nil || value(p.ResourceType) == "directory" {
		return backend.Object{}, false
	}
	obj := backend.Object{
		Key: *item.Name, Size: value(p.ContentLength), Version: version(p.ETag),
		Written: now, Listed: now,
	}
	if p.LastModified != nil {
		obj.Written = *p.LastModified
	}
	return obj, true
}

func (s *store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
