package serve

import (
	"errors"
	"strconv"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/protobuf"
	"github.com/larderbuild/larder/reapi"
)

const (
	maxTree    = 64 << 20 // bytes of a Tree, or of a Directory, that is read
	maxFolders = 100_000  // how many folders of one tree are read
	pageSize   = 1000     // folders in an answer
)

// filesIn returns the digests of the files in a folder. It returns ErrNotFound if the folder itself,
// or one in it, is not there.
func (c *call) filesIn(o reapi.OutputDirectory) (files []reapi.Digest, err error) {
	add := func(d reapi.Directory) {
		for _, f := range d.Files {
			files = append(files, f.Digest)
		}
	}
	switch {
	case o.TreeDigest != nil:
		var t reapi.Tree
		if err := c.readMessage(*o.TreeDigest, &t); err != nil {
			return nil, err
		}
		add(t.Root)
		for _, d := range t.Children {
			add(d)
		}
	case o.RootDirectoryDigest != nil:
		var missing bool
		err = c.walk(*o.RootDirectoryDigest, func(f folder) error {
			missing = missing || f.missing
			add(f.Directory)
			return nil
		})
		if missing {
			err = backend.ErrNotFound
		}
	}
	return files, err
}

// readMessage sets m to the message in a blob. If it is none, or is too large, the error is ErrNotFound.
func (c *call) readMessage(d reapi.Digest, m protobuf.Unmarshaler) error {
	if d.Check() != nil || d.SizeBytes > maxTree {
		return backend.ErrNotFound
	}
	data, err := c.readBlob(d)
	if err == nil && m.Unmarshal(data) != nil {
		err = backend.ErrNotFound
	}
	return err
}

// folder is a Directory as it is stored.
type folder struct {
	reapi.Directory
	encoded []byte
	missing bool // and the rest is empty
}

func (f *folder) Unmarshal(data []byte) error {
	f.encoded = data
	return f.Directory.Unmarshal(data)
}

// walk calls visit for a folder, and for each folder below it, once. Their order is always the same.
func (c *call) walk(root reapi.Digest, visit func(folder) error) error {
	known := map[reapi.Digest]bool{root: true}
	for queue := []reapi.Digest{root}; len(queue) > 0; {
		level := make([]folder, min(len(queue), atOnce))
		err := each(len(level), func(i int) error {
			err := c.readMessage(queue[i], &level[i])
			if errors.Is(err, backend.ErrNotFound) || errors.Is(err, errDamaged) {
				level[i], err = folder{missing: true}, nil
			}
			return err
		})
		if err != nil {
			return err
		}
		queue = queue[len(level):]
		for _, f := range level {
			if err := visit(f); err != nil {
				return err
			}
			for _, d := range f.Directories {
				if !known[d.Digest] {
					known[d.Digest] = true
					queue = append(queue, d.Digest)
				}
			}
		}
		if len(known) > maxFolders {
			return bad("more than %d folders", maxFolders)
		}
	}
	return nil
}

// getTree sends a folder, and those below it. What is missing it leaves out. The token of a page
// is how many folders come before it.
func (c *call) getTree() error {
	var q reapi.GetTreeRequest
	if err := c.ReceiveOnly(&q); err != nil {
		return err
	}
	if err := checkAsked(q.InstanceName, q.DigestFunction); err != nil {
		return err
	}
	if err := q.RootDigest.Check(); err != nil {
		return bad("%v", err)
	}
	skip := 0
	if q.PageToken != "" {
		var err error
		if skip, err = strconv.Atoi(q.PageToken); err != nil || skip < 0 {
			return bad("the page token is %.100q, which is none of this server", q.PageToken)
		}
	}
	c.pause()
	p := &pages{c: c, size: pageSize, skip: skip}
	if q.PageSize > 0 {
		p.size = int(min(q.PageSize, pageSize))
	}
	if err := c.walk(q.RootDigest, p.add); err != nil {
		return err
	}
	return p.send("")
}

// pages sends folders in several answers.
type pages struct {
	c       *call
	size    int // folders in an answer
	skip    int // folders that are not sent
	n       int // folders so far
	page    reapi.GetTreeResponse
	encoded int // bytes in page
}

func (p *pages) add(f folder) error {
	if f.missing {
		if p.n == 0 {
			return backend.ErrNotFound // the root
		}
		return nil
	}
	if p.n++; p.n <= p.skip {
		return nil
	}
	if len(p.page.Directories) == p.size || p.encoded+len(f.encoded) > maxBatch {
		if err := p.send(strconv.Itoa(p.n - 1)); err != nil {
			return err
		}
	}
	if len(f.encoded) > maxBatch {
		return grpc.Errorf(grpc.ResourceExhausted, "a folder has %d bytes", len(f.encoded))
	}
	p.page.Directories = append(p.page.Directories, f.encoded)
	p.encoded += len(f.encoded)
	return nil
}

// send sends what has gathered. next is the token of what follows.
func (p *pages) send(next string) error {
	p.page.NextPageToken = next
	p.c.goOn()
	err := p.c.Send(&p.page)
	p.c.pause()
	p.page, p.encoded = reapi.GetTreeResponse{}, 0
	return err
}
