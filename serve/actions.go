package serve

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/larderbuild/larder/backend"
	"github.com/larderbuild/larder/reapi"
)

// The service ActionCache.

// actionAsked returns where the result of an action lies that a request is about, or what is wrong
// with the request.
func actionAsked(instance string, action reapi.Digest, function int64) (key string, err error) {
	if err := checkAsked(instance, function); err != nil {
		return "", err
	}
	if _, err := sumOf(action.Hash); err != nil {
		return "", err
	}
	return actionKey(instance, action.Hash), nil
}

func (c *call) updateAction(q *reapi.UpdateActionResultRequest) (*reapi.ActionResult, error) {
	key, err := actionAsked(q.InstanceName, q.ActionDigest, q.DigestFunction)
	switch {
	case err != nil:
		return nil, err
	case q.ActionResult == nil:
		return nil, bad("the action result is missing")
	case int64(len(q.ActionResult.Encoded)) > c.MaxObject:
		return nil, c.tooLarge()
	}
	for _, d := range append(outputs(q.ActionResult), folders(q.ActionResult)...) {
		if err := d.Check(); err != nil {
			return nil, bad("a digest in the action result: %v", err)
		}
	}
	data := q.ActionResult.Encoded
	return q.ActionResult, c.put(key, bytes.NewReader(data), backend.OptionsOf(data))
}

func (c *call) getAction(q *reapi.GetActionResultRequest) (*reapi.ActionResult, error) {
	key, err := actionAsked(q.InstanceName, q.ActionDigest, q.DigestFunction)
	if err != nil {
		return nil, err
	}
	r, err := c.readAction(key)
	if err != nil {
		return nil, err
	}
	known, err := c.inline(r, q.InlineOutputFiles)
	if err == nil {
		err = c.complete(r, known)
	}
	if errors.Is(err, errDamaged) {
		err = backend.ErrNotFound // the action can be done again
	}
	return r, err
}

// readAction returns the result of an action as it is stored.
func (c *call) readAction(key string) (*reapi.ActionResult, error) {
	o := &object{x: c.exchange, key: key}
	if err := o.openAt(c.r.Context(), backend.Range{}); err != nil {
		return nil, err
	}
	defer o.close()
	if o.size > maxMessage {
		return nil, bad("the action result has %d bytes: a message may have %d", o.size, int64(maxMessage))
	}
	data := make([]byte, o.size)
	if _, err := io.ReadFull(o, data); err != nil {
		return nil, err
	}
	r := new(reapi.ActionResult)
	if err := r.Unmarshal(data); err != nil { // it came over HTTP, or is damaged
		c.Log.Error("what is stored is no action result", "key", key, "err", err)
		return nil, backend.ErrNotFound
	}
	c.uses.note(key)
	return r, nil
}

// inline adds to r the contents of files that the client wants with it, while there is room in a
// message. It returns their digests, or ErrNotFound if one of them is not there.
func (c *call) inline(r *reapi.ActionResult, paths []string) (known map[reapi.Digest]bool, err error) {
	known = make(map[reapi.Digest]bool)
	room := maxBatch - int64(len(r.Encoded))
	var wanted []int
	for i, f := range r.OutputFiles {
		if slices.Contains(paths, f.Path) && len(f.Contents) == 0 && f.Digest.SizeBytes >= 0 && f.Digest.SizeBytes <= room {
			room -= f.Digest.SizeBytes
			wanted = append(wanted, i)
			known[f.Digest] = true
		}
	}
	contents := make([][]byte, len(r.OutputFiles))
	err = each(len(wanted), func(i int) (err error) {
		contents[wanted[i]], err = c.readBlob(r.OutputFiles[wanted[i]].Digest)
		return err
	})
	if err == nil {
		err = r.Inline(contents)
	}
	return known, err
}

// outputs returns the digests of the files in r, and of what the action has printed.
func outputs(r *reapi.ActionResult) (all []reapi.Digest) {
	for _, f := range r.OutputFiles {
		all = append(all, f.Digest)
	}
	for _, d := range []*reapi.Digest{r.StdoutDigest, r.StderrDigest} {
		if d != nil {
			all = append(all, *d)
		}
	}
	return all
}

// folders returns the digests of the folders in r.
func folders(r *reapi.ActionResult) (all []reapi.Digest) {
	for _, o := range r.OutputDirectories {
		for _, d := range []*reapi.Digest{o.TreeDigest, o.RootDirectoryDigest} {
			if d != nil {
				all = append(all, *d)
			}
		}
	}
	return all
}

// complete returns ErrNotFound unless all is there that r names. What is in known was read a moment
// ago.
func (c *call) complete(r *reapi.ActionResult, known map[reapi.Digest]bool) error {
	wanted := outputs(r)
	for _, o := range r.OutputDirectories {
		files, err := c.filesIn(o)
		if err != nil {
			return err
		}
		wanted = append(wanted, files...)
	}
	wanted = slices.DeleteFunc(wanted, func(d reapi.Digest) bool {
		again := known[d]
		known[d] = true
		return again
	})
	return each(len(wanted), func(i int) error {
		if wanted[i].Check() != nil {
			return backend.ErrNotFound
		}
		there, err := c.has(wanted[i])
		if err == nil && !there {
			err = backend.ErrNotFound
		}
		return err
	})
}
