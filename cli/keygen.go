package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	urfave "github.com/urfave/cli/v3"

	"github.com/larderbuild/larder/sign"
)

// generated is the result of larder keygen.
type generated struct {
	Key    string `json:"key"`              // file
	Public string `json:"public,omitempty"` // file
	Trust  string `json:"trust,omitempty"`  // what is in Public
}

func (g generated) String() string {
	if g.Public == "" {
		return fmt.Sprintf("%s signs and checks: for LARDER_SIGN_KEY and LARDER_TRUST, and for nobody who must not write", g.Key)
	}
	return fmt.Sprintf("%s signs: for LARDER_SIGN_KEY, and to be kept secret\n%s checks: for LARDER_TRUST, here %s", g.Key, g.Public, g.Trust)
}

func (p *program) keygenCommand() *urfave.Command {
	return &urfave.Command{
		Name:      "keygen",
		Usage:     "make a key pair with which entries are signed and checked",
		ArgsUsage: "FILE",
		Description: "Writes an Ed25519 key to FILE, which only its owner can read, and the public key to\n" +
			"FILE.pub. It overwrites no file. Machines that write to the remote sign with the key in FILE\n" +
			"(LARDER_SIGN_KEY); all others trust the one in FILE.pub (LARDER_TRUST).",
		Flags: []urfave.Flag{
			jsonFlag(),
			&urfave.BoolFlag{Name: "hmac", Usage: "make one shared key instead, which is faster and weaker: who can check with it can sign with it"},
		},
		Action: p.configured(p.keygen),
	}
}

func (p *program) keygen(_ context.Context, cmd *urfave.Command, _ settings) error {
	if n := cmd.Args().Len(); n != 1 {
		return &usageError{fmt.Errorf("larder keygen takes the name of one file, but got %d", n), "for example: larder keygen larder.key"}
	}
	g := generated{Key: cmd.Args().First()}
	generate := sign.Generate
	if cmd.Bool("hmac") {
		generate = sign.GenerateHMAC
	}
	key, err := generate()
	if err != nil {
		return err
	}
	if public, ok := key.Public(); ok {
		g.Public, g.Trust = g.Key+".pub", public
		// The public key comes first: alone it is useless, but harmless.
		if err := createFile(g.Public, public, 0o644); err != nil {
			return err
		}
	}
	if err := createFile(g.Key, key.Text(), 0o600); err != nil {
		if g.Public != "" {
			err = errors.Join(err, os.Remove(g.Public))
		}
		return err
	}
	return p.print(cmd, g)
}

// createFile writes a line to a new file.
func createFile(path, line string, mode fs.FileMode) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return &usageError{fmt.Errorf("%s is there already", path), "a key that is lost can't be made again: choose another name"}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(file, line)
	if err = errors.Join(err, file.Close()); err != nil {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
