package bench

import (
	"archive/tar"
	"context"
	"crypto/md5"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/larderbuild/larder/backend"
)

// tarballKey is the key of the tarball in a round's remote.
const tarballKey = "tarball"

// storeTarball puts a tarball of dir into the remote.
func (r *round) storeTarball(ctx context.Context, dir string) error {
	file, err := os.CreateTemp(r.dir, "tarball-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	hash := md5.New()
	if err := packDir(io.MultiWriter(file, hash), dir); err != nil {
		return err
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	store := r.Open(r.remote, new(backend.Counters))
	defer store.Close()
	opts := backend.PutOptions{Size: size, MD5: [md5.Size]byte(hash.Sum(nil))}
	_, err = store.Put(ctx, tarballKey, file, opts)
	return err
}

// packDir writes a compressed tarball of dir to w.
func packDir(w io.Writer, dir string) (err error) {
	z, err := zstd.NewWriter(w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	t := tar.NewWriter(z)
	if err := t.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	return t.Close()
}

// fetchTarball gets the tarball from the store and unpacks it into dir while it comes.
func fetchTarball(ctx context.Context, store backend.Store, dir string) error {
	body, _, err := store.Get(ctx, tarballKey, backend.Range{})
	if err != nil {
		return err
	}
	defer body.Close()
	z, err := zstd.NewReader(body)
	if err != nil {
		return err
	}
	defer z.Close()
	for t := tar.NewReader(z); ; {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path, err := filepath.Localize(strings.TrimSuffix(header.Name, "/"))
		if err != nil {
			return err
		}
		if err := unpack(filepath.Join(dir, path), header, t); err != nil {
			return err
		}
	}
}

// unpack creates at path the file or folder that header describes.
func unpack(path string, header *tar.Header, body io.Reader) error {
	if header.Typeflag == tar.TypeDir {
		return os.MkdirAll(path, 0o777)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(header.Mode).Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(file, body)
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Chtimes(path, header.ModTime, header.ModTime)
}
