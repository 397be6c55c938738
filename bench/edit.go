package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// change returns Go source that changes what a package exports, but not what it does.
func change() string {
	text := rand.Text()
	return fmt.Sprintf("\nvar LarderBench%s = %q\n", text, text)
}

// overlay writes a copy of the file to edit, with more at its end, to dir. It returns the
// variables with which the go command reads the copy in place of the original.
func (b *bench) overlay(dir, more string) ([]string, error) {
	source, err := os.ReadFile(b.Edit)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	edited := filepath.Join(dir, filepath.Base(b.Edit))
	overlay := map[string]map[string]string{"Replace": {b.Edit: edited}}
	content, err := json.Marshal(overlay)
	if err != nil {
		return nil, err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, content, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(edited, append(source, more...), 0o600); err != nil {
		return nil, err
	}
	flag := "-overlay=" + list
	if strings.ContainsAny(flag, " \t\"") {
		flag = "'" + flag + "'"
	}
	return []string{"GOFLAGS=" + strings.TrimSpace(b.goFlags+" "+flag)}, nil
}

// checkEdit returns ErrNotBuilt if the file to edit is not part of the build. It builds
// with a copy that does not compile: if the file is part of the build, the build fails.
func (b *bench) checkEdit(ctx context.Context) error {
	const undefined = "larderBenchIsNowhereDefined"
	dir := filepath.Join(b.root, "check")
	env, err := b.overlay(dir, "\nvar _ = "+undefined+"\n")
	if err != nil {
		return err
	}
	_, stdout, stderr, err := b.run(ctx, slices.Concat(b.goEnv, env), b.Command)
	switch {
	case ctx.Err() != nil:
		return err
	case err == nil || !strings.Contains(stdout+stderr, undefined):
		return fmt.Errorf("%s %w", b.Edit, ErrNotBuilt)
	}
	return removeAll(dir)
}
