package reapi

import (
	"slices"

	"github.com/larderbuild/larder/protobuf"
)

// ActionResult is what an action has made. Encoded is the message as it came, with all that is
// not listed here.
type ActionResult struct {
	OutputFiles       []OutputFile
	OutputDirectories []OutputDirectory
	StdoutDigest      *Digest // nil: none
	StderrDigest      *Digest

	Encoded []byte // nil: Marshal writes the fields above
}

// OutputFile is a file.
type OutputFile struct {
	Path     string
	Digest   Digest
	Contents []byte // the file itself, if the client has asked for it
}

// OutputDirectory is a folder.
type OutputDirectory struct {
	Path                string
	TreeDigest          *Digest // of a Tree; nil: none
	RootDirectoryDigest *Digest // of a Directory; nil: none
}

const outputFilesField = 2

func (r *ActionResult) Marshal() []byte {
	if r.Encoded != nil {
		return r.Encoded
	}
	b := appendAll(nil, outputFilesField, r.OutputFiles)
	b = appendAll(b, 3, r.OutputDirectories)
	b = appendDigest(b, 6, r.StdoutDigest)
	return appendDigest(b, 8, r.StderrDigest)
}

func (r *ActionResult) Unmarshal(data []byte) error {
	*r = ActionResult{Encoded: append([]byte{}, data...)}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case outputFilesField:
			r.OutputFiles, err = appendParsed(r.OutputFiles, f)
		case 3:
			r.OutputDirectories, err = appendParsed(r.OutputDirectories, f)
		case 6:
			r.StdoutDigest, err = parseDigest(f)
		case 8:
			r.StderrDigest, err = parseDigest(f)
		}
		return err
	})
}

// Inline adds contents to the output files of the same indexes, nil to none. All else in Encoded,
// which r has to have, stays as it is.
func (r *ActionResult) Inline(contents [][]byte) error {
	var b []byte
	i := 0 // index of the next output file
	err := protobuf.Fields(r.Encoded, func(f protobuf.Field) error {
		if f.Number != outputFilesField || !f.IsBytes() {
			b = append(b, f.Raw...)
			return nil
		}
		if i < len(contents) && contents[i] != nil {
			file := protobuf.AppendBytes(slices.Clone(f.Bytes()), 5, contents[i])
			b = protobuf.AppendData(b, outputFilesField, file)
			r.OutputFiles[i].Contents = contents[i]
		} else {
			b = append(b, f.Raw...)
		}
		i++
		return nil
	})
	r.Encoded = b
	return err
}

func (o OutputFile) Marshal() []byte {
	b := protobuf.AppendString(nil, 1, o.Path)
	b = protobuf.AppendMessage(b, 2, o.Digest)
	return protobuf.AppendBytes(b, 5, o.Contents)
}

func (o *OutputFile) Unmarshal(data []byte) error {
	*o = OutputFile{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			o.Path = f.String()
		case 2:
			o.Digest, err = protobuf.Parse[Digest](f)
		case 5:
			o.Contents = f.Bytes()
		}
		return err
	})
}

func (o OutputDirectory) Marshal() []byte {
	b := protobuf.AppendString(nil, 1, o.Path)
	b = appendDigest(b, 3, o.TreeDigest)
	return appendDigest(b, 5, o.RootDirectoryDigest)
}

func (o *OutputDirectory) Unmarshal(data []byte) error {
	*o = OutputDirectory{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			o.Path = f.String()
		case 3:
			o.TreeDigest, err = parseDigest(f)
		case 5:
			o.RootDirectoryDigest, err = parseDigest(f)
		}
		return err
	})
}

func appendDigest(b []byte, number protobuf.Number, d *Digest) []byte {
	if d == nil {
		return b
	}
	return protobuf.AppendMessage(b, number, *d)
}

func parseDigest(f protobuf.Field) (*Digest, error) {
	d, err := protobuf.Parse[Digest](f)
	return &d, err
}

// Tree is a folder with all that is in it.
type Tree struct {
	Root     Directory
	Children []Directory
}

// Directory is a folder.
type Directory struct{ Files, Directories []Node }

// Node is a file or a folder in a folder.
type Node struct {
	Name   string
	Digest Digest
}

func (t *Tree) Unmarshal(data []byte) error {
	*t = Tree{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			t.Root, err = protobuf.Parse[Directory](f)
		case 2:
			t.Children, err = appendParsed(t.Children, f)
		}
		return err
	})
}

func (d *Directory) Unmarshal(data []byte) error {
	*d = Directory{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			d.Files, err = appendParsed(d.Files, f)
		case 2:
			d.Directories, err = appendParsed(d.Directories, f)
		}
		return err
	})
}

func (n *Node) Unmarshal(data []byte) error {
	*n = Node{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			n.Name = f.String()
		case 2:
			n.Digest, err = protobuf.Parse[Digest](f)
		}
		return err
	})
}

// GetActionResultRequest asks for what an action has made.
type GetActionResultRequest struct {
	InstanceName      string
	ActionDigest      Digest
	InlineOutputFiles []string // paths of files whose contents may come with the answer
	DigestFunction    int64
}

func (r *GetActionResultRequest) Marshal() []byte {
	b := protobuf.AppendString(nil, 1, r.InstanceName)
	b = protobuf.AppendMessage(b, 2, r.ActionDigest)
	for _, path := range r.InlineOutputFiles {
		b = protobuf.AppendString(b, 5, path)
	}
	return protobuf.AppendInt(b, 6, r.DigestFunction)
}

func (r *GetActionResultRequest) Unmarshal(data []byte) error {
	*r = GetActionResultRequest{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			r.InstanceName = f.String()
		case 2:
			r.ActionDigest, err = protobuf.Parse[Digest](f)
		case 5:
			r.InlineOutputFiles = append(r.InlineOutputFiles, f.String())
		case 6:
			r.DigestFunction = f.Int()
		}
		return err
	})
}

// UpdateActionResultRequest says what an action has made.
type UpdateActionResultRequest struct {
	InstanceName   string
	ActionDigest   Digest
	ActionResult   *ActionResult // nil: it is missing
	DigestFunction int64
}

func (r *UpdateActionResultRequest) Marshal() []byte {
	b := protobuf.AppendString(nil, 1, r.InstanceName)
	b = protobuf.AppendMessage(b, 2, r.ActionDigest)
	if r.ActionResult != nil {
		b = protobuf.AppendMessage(b, 3, r.ActionResult)
	}
	return protobuf.AppendInt(b, 5, r.DigestFunction)
}

func (r *UpdateActionResultRequest) Unmarshal(data []byte) error {
	*r = UpdateActionResultRequest{}
	return protobuf.Fields(data, func(f protobuf.Field) (err error) {
		switch f.Number {
		case 1:
			r.InstanceName = f.String()
		case 2:
			r.ActionDigest, err = protobuf.Parse[Digest](f)
		case 3:
			r.ActionResult = new(ActionResult)
			err = r.ActionResult.Unmarshal(f.Bytes())
		case 5:
			r.DigestFunction = f.Int()
		}
		return err
	})
}
