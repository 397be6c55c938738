// Gcsclient does one thing with Google's own client, as the second opinion of larder's
// tests. STORAGE_EMULATOR_HOST names the server.
//
//	gcsclient put BUCKET KEY       puts what it reads, in several requests; prints the object
//	gcsclient get BUCKET KEY       prints the object's bytes, whose CRC32C the client checks
//	gcsclient list BUCKET PREFIX   prints the objects
//	gcsclient delete BUCKET KEY
//
// It prints an object as a JSON object, with its name, size, generation and MD5.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"
)

// chunk is the size in bytes of one request of a put, the smallest that there is.
const chunk = 256 << 10

func main() {
	if len(os.Args) != 4 {
		fail(errors.New("usage: gcsclient put|get|list|delete BUCKET KEY"))
	}
	ctx := context.Background()
	client, err := storage.NewClient(ctx)
	if err != nil {
		fail(err)
	}
	bucket, key := client.Bucket(os.Args[2]), os.Args[3]
	switch op := os.Args[1]; op {
	case "put":
		err = put(ctx, bucket.Object(key))
	case "get":
		err = get(ctx, bucket.Object(key))
	case "list":
		err = list(ctx, bucket, key)
	case "delete":
		err = bucket.Object(key).Delete(ctx)
	default:
		err = fmt.Errorf("unknown operation %q: allowed are put, get, list and delete", op)
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func put(ctx context.Context, object *storage.ObjectHandle) error {
	w := object.NewWriter(ctx)
	w.ChunkSize = chunk
	if _, err := io.Copy(w, os.Stdin); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return print(w.Attrs())
}

func get(ctx context.Context, object *storage.ObjectHandle) error {
	r, err := object.NewReader(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(os.Stdout, r)
	return err
}

func list(ctx context.Context, bucket *storage.BucketHandle, prefix string) error {
	objects := bucket.Objects(ctx, &storage.Query{Prefix: prefix})
	for {
		attrs, err := objects.Next()
		if err == iterator.Done {
			return nil
		}
		if err != nil {
			return err
		}
		if err := print(attrs); err != nil {
			return err
		}
	}
}

func print(attrs *storage.ObjectAttrs) error {
	return json.NewEncoder(os.Stdout).Encode(struct {
		Name             string
		Size, Generation int64
		MD5              []byte
	}{attrs.Name, attrs.Size, attrs.Generation, attrs.MD5})
}
