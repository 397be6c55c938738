// Package s3 stores objects in a bucket of Amazon S3 or of a server that speaks
// its protocol. An object's version is its ETag.
//
// Ordinary buckets check the Content-MD5 of a put. Directory buckets (S3 Express;
// their names end in --x-s3, those of their access points in --xa-s3) don't support
// it. For them the SDK computes a CRC32, and this package checks the MD5 before it
// sends anything. With an endpoint (a server that is not Amazon's, be it named by the
// URL or by AWS_ENDPOINT_URL), the SDK's newer checksums are off, because many servers
// reject them.
//
// An object over 5 GiB is put in parts. A store that keeps the parts of uploads which were
// never completed wants a lifecycle rule for them.
//
// Each call is one attempt: the SDK's retries are off. The package does not follow
// redirects, because it would send the request's session token to another host.
//
// A user needs the permission to read objects (s3:GetObject) and the permission to
// list them (s3:ListBucket). Without the second one, Amazon answers 403 if a key is
// missing, so the user gets ErrDenied.
package s3

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"github.com/larderbuild/larder/backend"
)

// Traits are those of all stores of this package.
func (Config) Traits() backend.Traits {
	return backend.Traits{}
}

// Open returns the store that cfg names. Open reads the SDK's configuration files.
// The store does not use the network before the first request. The caller closes
// it.
func Open(ctx context.Context, cfg Config) (backend.Store, error) {
	machine := new(metadata)
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(backend.LimitConnecting)),
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithLogger(logging.Nop{}), // the default logger writes to stderr
		config.WithEC2RoleCredentialOptions(machine.use),
		withoutHome,
	}
	if cfg.Region != "" {
		options = append(options, config.WithRegion(cfg.Region))
	}
	if cfg.Anonymous {
		options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	sdk, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	machine.configure(sdk)
	if !cfg.Anonymous {
		sdk.Credentials = credentials{sdk.Credentials}
	}
	transport := sdk.HTTPClient.(*awshttp.BuildableClient).GetTransport()
	backend.ManyConnections(transport)
	sdk.HTTPClient = backend.NewClient(regionAnswers{backend.LimitAnswers(transport)})

	client := s3.NewFromConfig(sdk, cfg.apply)
	resolved := client.Options()
	if resolved.Region == "" {
		return nil, errors.New("the region is missing: give the parameter region, or set AWS_REGION")
	}
	return backend.WithPrefix(&store{
		Config:     cfg,
		client:     client,
		transport:  transport,
		express:    strings.HasSuffix(cfg.Bucket, "--x-s3") || strings.HasSuffix(cfg.Bucket, "--xa-s3"),
		largestPut: cmp.Or(cfg.largestPut, largestPut),
		plain:      strings.HasPrefix(aws.ToString(resolved.BaseEndpoint), "http://"),
	}, cfg.Prefix), nil
}

// withoutHome keeps the SDK from the files .aws/config and .aws/credentials of the folder
// that is built, where it looks for the files of a user who has no home.
func withoutHome(o *config.LoadOptions) error {
	if filepath.IsAbs(config.DefaultSharedConfigFilename()) {
		return nil
	}
	if os.Getenv("AWS_CONFIG_FILE") == "" {
		o.SharedConfigFiles = []string{}
	}
	if os.Getenv("AWS_SHARED_CREDENTIALS_FILE") == "" {
		o.SharedCredentialsFiles = []string{}
	}
	return nil
}

// apply sets what cfg says, and what a server that is not Amazon's needs. Such a server
// is also named by AWS_ENDPOINT_URL and its like, which o has already.
func (cfg Config) apply(o *s3.Options) {
	o.UsePathStyle = cfg.PathStyle
	o.UseARNRegion = true // the URL's region may be another one
	if cfg.Endpoint != "" {
		o.BaseEndpoint = &cfg.Endpoint
	}
	if o.BaseEndpoint != nil {
		o.Region = cmp.Or(o.Region, anyRegion)
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}
	if strings.HasPrefix(cfg.Bucket, "arn:") {
		o.Region = cmp.Or(o.Region, anyRegion)
	}
	o.APIOptions = append(o.APIOptions, withoutAcceptEncoding)
}

// anyRegion is the region where signatures need one, but nobody checks it.
const anyRegion = "us-east-1"

// withoutAcceptEncoding keeps the header Accept-Encoding out of requests. The SDK signs
// it, and proxies rewrite it, Google's among them: then the signature is wrong. No server
// compresses without it.
func withoutAcceptEncoding(stack *middleware.Stack) error {
	_, err := stack.Finalize.Remove("DisableAcceptEncodingGzip")
	return err
}

// credentials returns ErrDenied if the provider finds no credentials.
type credentials struct{ aws.CredentialsProvider }

func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	found, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		err = noCredentials{err}
	}
	return found, err
}

type store struct {
	Config
	client     *s3.Client
	transport  *http.Transport
	largestPut int64 // in bytes
	express    bool  // a directory bucket
	plain      bool  // without TLS
}

func (s *store) Get(ctx context.Context, key string, r backend.Range) (io.ReadCloser, backend.Object, error) {
	in := &s3.GetObjectInput{Bucket: &s.Bucket, Key: &key, RequestPayer: s.Payer}
	if part := r.Header(); part != "" {
		in.Range = &part
	}
	objectCtx, take := backend.ExpectObject(ctx)
	out, err := s.client.GetObject(objectCtx, in)
	if err != nil {
		if status(err) == http.StatusRequestedRangeNotSatisfiable {
			return http.NoBody, backend.Object{Key: key}, nil
		}
		return nil, backend.Object{}, s.wrap(ctx, "get", key, err)
	}
	obj := backend.Object{Key: key, Size: aws.ToInt64(out.ContentLength), Version: version(out.ETag)}
	if in.Range != nil {
		if obj.Size, err = backend.CheckContentRange(aws.ToString(out.ContentRange), r); err != nil {
			out.Body.Close()
			return nil, backend.Object{}, backend.Wrap(ctx, "get", key, err)
		}
	}
	take()
	return backend.NewBody(ctx, key, out.Body), obj, nil
}

func (s *store) Put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	obj, err := s.put(ctx, key, body, opts)
	return obj, s.wrapAnswer(ctx, "put", key, err, func(err error) error {
		return classifyPut(err, opts.If)
	})
}

func (s *store) put(ctx context.Context, key string, body io.ReadSeeker, opts backend.PutOptions) (backend.Object, error) {
	upload, err := backend.NewUpload(ctx, body, opts.Size)
	if err != nil {
		return backend.Object{}, err
	}
	defer upload.Release()
	if opts.Size > s.largestPut {
		return s.putInParts(ctx, key, upload, opts)
	}

	in := &s3.PutObjectInput{
		Bucket:               &s.Bucket,
		Key:                  &key,
		Body:                 upload,
		ContentLength:        &opts.Size,
		ContentType:          aws.String(contentType),
		RequestPayer:         s.Payer,
		ServerSideEncryption: s.Encryption,
		ACL:                  s.ACL,
		StorageClass:         s.StorageClass,
	}
	if s.KMSKey != "" {
		in.SSEKMSKeyId = &s.KMSKey
	}
	if s.express {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
		if err := checkMD5(upload, opts.MD5); err != nil {
			return backend.Object{}, err
		}
	} else {
		in.ContentMD5 = aws.String(base64.StdEncoding.EncodeToString(opts.MD5[:]))
	}
	in.IfMatch, in.IfNoneMatch = conditions(opts.If)
	out, err := s.client.PutObject(ctx, in, s.unsigned)
	if err != nil {
		return backend.Object{}, err
	}
	obj := backend.Object{Key: key, Size: opts.Size, Version: version(out.ETag)}
	if obj.Version == "" {
		return backend.Object{}, errNoETag
	}
	return obj, nil
}

// contentType is the type of all objects.
const contentType = "application/octet-stream"

// conditions returns the headers that stand for c.
func conditions(c backend.Condition) (ifMatch, ifNoneMatch *string) {
	switch {
	case c.Absent:
		return nil, aws.String("*")
	case c.Version != "":
		return &c.Version, nil
	}
	return nil, nil
}

// errNoETag is the error of a Put whose answer has no ETag. A store's answer has one: a
// proxy or a login page has answered in its place, and stored nothing.
var errNoETag = errors.New("not a store's answer: it has no ETag")

// version returns the version that an ETag stands for. A proxy that compresses answers
// marks the ETag as weak, and no weak one ever fulfills a condition.
func version(etag *string) string { return strings.TrimPrefix(aws.ToString(etag), "W/") }

// unsigned leaves the body out of a request's signature if TLS and a digest protect
// it. To sign a body, the SDK would have to read and hash it before it sends it.
func (s *store) unsigned(o *s3.Options) {
	if !s.plain {
		o.APIOptions = append(o.APIOptions, v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	}
}

func checkMD5(body io.ReadSeeker, want [md5.Size]byte) error {
	hash := md5.New()
	if _, err := io.Copy(hash, body); err != nil {
		return err
	}
	if [md5.Size]byte(hash.Sum(nil)) != want {
		return backend.ErrDigest
	}
	_, err := body.Seek(0, io.SeekStart)
	return err
}

func (s *store) Delete(ctx context.Context, key, version string) error {
	in := &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: &key, RequestPayer: s.Payer}
	if version != "" {
		in.IfMatch = &version
	}
	_, err := s.client.DeleteObject(ctx, in)
	if version != "" && refusesConditions(err) {
		in.IfMatch = nil
		_, err = s.client.DeleteObject(ctx, in)
	}
	if err = s.wrap(ctx, "delete", key, err); errors.Is(err, backend.ErrNotFound) {
		return nil
	}
	return err
}

func (s *store) List(ctx context.Context, prefix string) iter.Seq2[backend.Object, error] {
	listed := prefix
	if s.express { // which lists only whole folders
		listed = prefix[:strings.LastIndexByte(prefix, '/')+1]
	}
	return func(yield func(backend.Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{
			Bucket:       &s.Bucket,
			Prefix:       &listed,
			RequestPayer: s.Payer,
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(backend.Object{}, s.wrap(ctx, "list", prefix, err))
				return
			}
			now, ok := awsmiddleware.GetServerTime(page.ResultMetadata)
			if !ok {
				now = time.Now()
			}
			for _, found := range page.Contents {
				obj := backend.Object{
					Key:     aws.ToString(found.Key),
					Size:    aws.ToInt64(found.Size),
					Version: version(found.ETag),
					Written: now,
					Listed:  now,
				}
				if found.LastModified != nil {
					obj.Written = *found.LastModified
				}
				if strings.HasPrefix(obj.Key, prefix) && !yield(obj, nil) {
					return
				}
			}
		}
	}
}

func (s *store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
