package serve

import (
	"bufio"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/grpc"
	"github.com/larderbuild/larder/reapi"
)

// The service ByteStream.

// readSize is how many bytes of a blob a message has.
const readSize = 128 << 10

func (c *call) read() error {
	var q reapi.ReadRequest
	if err := c.ReceiveOnly(&q); err != nil {
		return err
	}
	r, err := c.resource(q.ResourceName, false)
	switch {
	case err != nil:
		return err
	case q.ReadOffset < 0:
		return grpc.Errorf(grpc.OutOfRange, "the read offset is %d", q.ReadOffset)
	case q.ReadLimit < 0:
		return bad("the read limit is %d", q.ReadLimit)
	case r.Zstd && q.ReadLimit != 0:
		return bad("the read limit is %d: a blob in zstd is read to its end", q.ReadLimit)
	}
	part, err := c.openPart(r.Digest, backend.Range{Offset: q.ReadOffset, Length: q.ReadLimit})
	if err != nil {
		return err
	}
	defer part.Close()
	out := bufio.NewWriterSize(readAnswer{c}, readSize)
	if r.Zstd {
		err = pack(out, part)
	} else {
		_, err = io.Copy(out, part)
	}
	if err != nil {
		return err
	}
	return out.Flush()
}

// readAnswer sends a message for each Write.
type readAnswer struct{ c *call }

func (a readAnswer) Write(p []byte) (int, error) {
	a.c.goOn()
	return len(p), a.c.Send(&reapi.ReadResponse{Data: p})
}

// openPart opens a range of a blob. The caller closes it.
func (c *call) openPart(d reapi.Digest, r backend.Range) (io.ReadCloser, error) {
	if r.Offset >= d.SizeBytes { // so there is nothing to read
		switch there, err := c.has(d); {
		case err != nil:
			return nil, err
		case !there:
			return nil, backend.ErrNotFound
		case r.Offset > d.SizeBytes:
			return nil, grpc.Errorf(grpc.OutOfRange, "the read offset is %d, and the blob has %d bytes", r.Offset, d.SizeBytes)
		}
		return io.NopCloser(strings.NewReader("")), nil
	}
	sum, err := sumOf(d.Hash)
	if err != nil || isEmptySum(sum) { // with another size
		return nil, backend.ErrNotFound
	}
	o, err := c.openBlob(sum, r)
	if err != nil {
		if there, e := c.has(d); e == nil && !there { // the range may lie behind its end
			err = backend.ErrNotFound
		}
		return nil, err
	}
	part := &blobPart{o, o}
	if o.size != d.SizeBytes {
		o.close()
		return nil, backend.ErrNotFound
	}
	if r.Length > 0 {
		part.Reader = io.LimitReader(o, r.Length)
	}
	return part, nil
}

// blobPart is a part of a blob.
type blobPart struct {
	io.Reader
	of *object
}

func (p *blobPart) Close() error { p.of.close(); return nil }

// resource returns what name says. It is the name of an upload, or of a blob to read.
func (c *call) resource(name string, isUpload bool) (reapi.Resource, error) {
	r, err := reapi.ParseResource(name)
	switch header := c.r.Header.Get(resourceHeader); {
	case err != nil:
		return r, bad("%v", err)
	case isUpload != (r.Upload != ""):
		return r, bad("the name of a blob to write begins with uploads/{uuid}/, and that of one to read does not")
	case header != "" && header != name:
		return r, bad("the header %s is not the name of the resource", strings.ToLower(resourceHeader))
	}
	return r, checkAsked(r.Instance, 0)
}

// resourceHeader may have the name of the resource as well.
const resourceHeader = "Build.bazel.remote.execution.v2.resource-Name"

// queryWrite says how much has come of an upload: nothing of one that the server does not know. The
// text of ByteStream wants NOT_FOUND for that, but Bazel then gives an upload up that has failed
// once.
func (c *call) queryWrite(q *reapi.QueryWriteStatusRequest) (*reapi.QueryWriteStatusResponse, error) {
	r, err := c.resource(q.ResourceName, true)
	if err != nil {
		return nil, err
	}
	switch there, err := c.has(r.Digest); {
	case err != nil:
		return nil, err
	case there:
		return &reapi.QueryWriteStatusResponse{CommittedSize: r.Digest.SizeBytes, Complete: true}, nil
	}
	return &reapi.QueryWriteStatusResponse{CommittedSize: c.uploads.size(r.String())}, nil
}

// write takes an upload, or goes on with one. What has come of it stays if it breaks off.
func (c *call) write() error {
	var q reapi.WriteRequest
	if err := c.Receive(&q); err == io.EOF {
		return bad("no message, where one was due")
	} else if err != nil {
		return err
	}
	r, err := c.resource(q.ResourceName, true)
	if err != nil {
		return err
	}
	if r.Digest.SizeBytes > c.MaxObject {
		return c.tooLarge()
	}
	switch there, err := c.has(r.Digest); {
	case err != nil:
		return err
	case there && r.Zstd:
		return c.Send(&reapi.WriteResponse{CommittedSize: -1})
	case there:
		return c.Send(&reapi.WriteResponse{CommittedSize: r.Digest.SizeBytes})
	}
	u, ok := c.uploads.claim(r.String(), c.newIntake)
	if !ok {
		return grpc.Errorf(grpc.Aborted, "another call writes this upload")
	}
	defer c.uploads.park(u)
	if q.WriteOffset == 0 {
		u.restart(c.newIntake()) // as clients do that can't go on
	}
	p := &parts{c: c, name: q.ResourceName, next: u.size.Load()}
	if err := p.take(&q); err != nil {
		return err
	}
	if err := u.fill(p, r); err != nil {
		return err
	}
	if !p.finished {
		return c.Send(&reapi.WriteResponse{CommittedSize: u.size.Load()})
	}
	c.pause()
	if err := c.storeBlob(u.body); err != nil {
		return err
	}
	u.over = true
	c.goOn()
	return c.Send(&reapi.WriteResponse{CommittedSize: p.next})
}

// fill takes the parts of the upload. If it returns no error and p is finished, the body has the
// digest of r. After an error of what has come, the upload is over.
func (u *upload) fill(p *parts, r reapi.Resource) error {
	var in io.Reader = p
	if r.Zstd {
		plain, err := unpack(p)
		if err != nil {
			return err
		}
		defer plain.Close()
		in = plain
	}
	_, err := io.Copy(u, io.LimitReader(in, r.Digest.SizeBytes-u.body.size+1))
	switch {
	case p.err != nil: // what has come stays
		return p.err
	case err != nil && r.Zstd && p.ended && !p.finished: // in the middle of a frame
		return nil
	case u.err != nil:
		u.over = true
		return u.err
	case err != nil:
		u.over = true
		return bad("malformed zstd: %v", err)
	case u.body.size > r.Digest.SizeBytes:
		u.over = true
		return errMismatch
	case !p.finished:
		return nil
	}
	u.body.finish()
	if u.body.size != r.Digest.SizeBytes || hex.EncodeToString(u.body.sha256[:]) != r.Digest.Hash {
		u.over = true
		return errMismatch
	}
	return nil
}

// parts is what the messages of an upload bring.
type parts struct {
	c        *call
	name     string
	next     int64  // the write offset that the next message has to have
	data     []byte // has come, and was not read
	finished bool   // a message said so
	ended    bool   // there are no more messages
	err      error  // why there are no more
}

// take takes a message.
func (p *parts) take(q *reapi.WriteRequest) error {
	switch {
	case p.finished:
		return bad("there is a message behind the one with finish_write")
	case q.ResourceName != "" && q.ResourceName != p.name:
		return bad("the name of the resource changes")
	case q.WriteOffset != p.next:
		return bad("the write offset is %d: want %d", q.WriteOffset, p.next)
	}
	p.next += int64(len(q.Data))
	p.data, p.finished = q.Data, q.FinishWrite
	return nil
}

func (p *parts) Read(b []byte) (int, error) {
	for len(p.data) == 0 {
		if p.ended {
			return 0, io.EOF
		}
		var q reapi.WriteRequest
		err := p.c.Receive(&q)
		if err == nil {
			err = p.take(&q)
		}
		p.ended = err != nil
		if err != nil && !errors.Is(err, io.EOF) {
			p.err = err
			return 0, err
		}
	}
	n := copy(b, p.data)
	p.data = p.data[n:]
	return n, nil
}
