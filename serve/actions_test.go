package serve_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/larderbuild/larder/serve"
)

// encoded returns a message as it is stored.
func encoded(t *testing.T, m proto.Message) string {
	t.Helper()
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (k *rpc) getAction(inline ...string) (*repb.ActionResult, error) {
	return k.ac.GetActionResult(k.t.Context(), &repb.GetActionResultRequest{ActionDigest: digestOf("action"), InlineOutputFiles: inline})
}

func (k *rpc) putAction(r *repb.ActionResult) {
	k.t.Helper()
	got, err := k.ac.UpdateActionResult(k.t.Context(), &repb.UpdateActionResultRequest{ActionDigest: digestOf("action"), ActionResult: r})
	if err != nil || !proto.Equal(got, r) {
		k.t.Fatal(got, err)
	}
}

// TestActions: a result is there as long as all that it names is, and comes back as it was put.
func TestActions(t *testing.T) {
	t.Parallel()
	k := openRPC(t, nil)
	child := &repb.Directory{Files: []*repb.FileNode{{Name: "f", Digest: digestOf("in a child")}}, Symlinks: []*repb.SymlinkNode{{Name: "s", Target: "/t"}}}
	root := &repb.Directory{
		Files:       []*repb.FileNode{{Name: "f", Digest: digestOf("in the root")}},
		Directories: []*repb.DirectoryNode{{Name: "d", Digest: digestOf(encoded(t, child))}},
	}
	tree := encoded(t, &repb.Tree{Root: root, Children: []*repb.Directory{child}})
	lone := encoded(t, &repb.Directory{
		Files:       []*repb.FileNode{{Name: "g", Digest: digestOf("in a lone folder")}},
		Directories: []*repb.DirectoryNode{{Name: "d", Digest: digestOf(encoded(t, child))}},
	})
	blobs := []string{"file", "out", "err", tree, lone, encoded(t, child), "in the root", "in a child", "in a lone folder"}
	k.update(blobs...)
	result := &repb.ActionResult{
		OutputFiles: []*repb.OutputFile{{Path: "a", Digest: digestOf("file"), IsExecutable: true}, {Path: "empty", Digest: digestOf("")}},
		OutputDirectories: []*repb.OutputDirectory{
			{Path: "d", TreeDigest: digestOf(tree), RootDirectoryDigest: digestOf(encoded(t, root))}, // which is in the tree
			{Path: "e", RootDirectoryDigest: digestOf(lone)},
		},
		StdoutDigest: digestOf("out"), StderrDigest: digestOf("err"), ExitCode: 2, StdoutRaw: []byte("raw"),
		OutputSymlinks: []*repb.OutputSymlink{{Path: "s", Target: "t"}}, ExecutionMetadata: &repb.ExecutedActionMetadata{Worker: "w"},
	}
	result.ProtoReflect().SetUnknown(protowire.AppendString(protowire.AppendTag(nil, 9000, protowire.BytesType), "later"))
	k.putAction(result)
	if got, err := k.getAction(); err != nil || !proto.Equal(got, result) {
		t.Fatal(got, err)
	}
	if got := files(t, k.root)["ac/"+sha256Of("action")]; got != encoded(t, result) {
		t.Errorf("stored is %q", got)
	}
	inlined := proto.Clone(result).(*repb.ActionResult)
	inlined.OutputFiles[0].Contents = []byte("file")
	if got, err := k.getAction("a", "empty", "other"); err != nil || !proto.Equal(got, inlined) {
		t.Errorf("inlined: %v, %v", got, err)
	}
	for _, body := range blobs {
		path := filepath.Join(k.root, "cas", sha256Of(body))
		for what, change := range map[string]func() error{
			"is gone":   func() error { return os.Remove(path) },
			"is longer": func() error { return os.WriteFile(path, []byte(body+"x"), 0o600) },
			"is empty":  func() error { return os.WriteFile(path, nil, 0o600) },
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			if _, err := k.getAction("a"); err == nil {
				t.Errorf("%q %s, and the result is there", body, what)
			} else {
				wantCode(t, err, codes.NotFound)
			}
			k.update(body)
		}
	}
	if _, err := k.getAction(); err != nil {
		t.Error(err)
	}
}

// TestInlineDamaged: a file that is damaged makes no result, and is missing from then on.
func TestInlineDamaged(t *testing.T) {
	t.Parallel()
	k := openRPC(t, nil)
	k.update("file")
	k.putAction(&repb.ActionResult{OutputFiles: []*repb.OutputFile{{Path: "a", Digest: digestOf("file")}}})
	if err := os.WriteFile(filepath.Join(k.root, "cas", sha256Of("file")), []byte("fire"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := k.getAction("a")
	wantCode(t, err, codes.NotFound)
	if missing := k.missing(digestOf("file")); len(missing) != 1 {
		t.Error("the damaged file is not missing")
	}
}

// TestLargeInline: contents that don't fit in a message stay away.
func TestLargeInline(t *testing.T) {
	t.Parallel()
	k := openRPC(t, func(c *serve.Config) { c.MaxObject = 10 << 20 })
	large := string(noise(2 << 20))
	other := large[1:]
	k.update(large)
	k.update(other)
	k.putAction(&repb.ActionResult{OutputFiles: []*repb.OutputFile{{Path: "a", Digest: digestOf(large)}, {Path: "b", Digest: digestOf(other)}}})
	got, err := k.getAction("a", "b")
	if err != nil || string(got.OutputFiles[0].Contents) != large || len(got.OutputFiles[1].Contents) > 0 {
		t.Error(err)
	}
}

// getTree returns the folders that a call brings, and the token of each answer.
func (k *rpc) getTree(q *repb.GetTreeRequest) (folders []*repb.Directory, tokens []string) {
	k.t.Helper()
	s, err := k.cas.GetTree(k.t.Context(), q)
	for err == nil {
		var a *repb.GetTreeResponse
		if a, err = s.Recv(); err == nil {
			folders, tokens = append(folders, a.Directories...), append(tokens, a.NextPageToken)
		}
	}
	if !errors.Is(err, io.EOF) {
		k.t.Fatal(err)
	}
	return folders, tokens
}

// TestGetTree: a folder comes with all folders below it, each once, in pages.
func TestGetTree(t *testing.T) {
	t.Parallel()
	k := openRPC(t, nil)
	node := func(name string, d *repb.Directory) *repb.DirectoryNode {
		return &repb.DirectoryNode{Name: name, Digest: digestOf(encoded(t, d))}
	}
	leaf := &repb.Directory{Files: []*repb.FileNode{{Name: "f", Digest: digestOf("f")}}, Symlinks: []*repb.SymlinkNode{{Name: "s"}}}
	gone := &repb.Directory{Files: []*repb.FileNode{{Name: "gone", Digest: digestOf("f")}}}
	middle := &repb.Directory{Directories: []*repb.DirectoryNode{node("a", leaf), node("b", leaf), node("c", gone)}}
	root := &repb.Directory{Directories: []*repb.DirectoryNode{node("leaf", leaf), node("middle", middle)}}
	k.update(encoded(t, leaf), encoded(t, middle), encoded(t, root))
	same := func(a, b *repb.Directory) bool { return proto.Equal(a, b) }
	want := []*repb.Directory{root, leaf, middle}
	q := &repb.GetTreeRequest{RootDigest: digestOf(encoded(t, root))}
	if got, tokens := k.getTree(q); !slices.EqualFunc(got, want, same) || !slices.Equal(tokens, []string{""}) {
		t.Errorf("%v, %q", got, tokens)
	}
	q.PageSize = 1
	got, tokens := k.getTree(q)
	if !slices.EqualFunc(got, want, same) || len(tokens) != 3 || tokens[0] == "" || tokens[2] != "" {
		t.Errorf("in pages: %v, %q", got, tokens)
	}
	q.PageToken = tokens[0]
	if got, _ := k.getTree(q); !slices.EqualFunc(got, want[1:], same) {
		t.Errorf("from the second page on: %v", got)
	}
}
