//go:build wine

package wine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/larderbuild/larder/integration/harness"
)

// Of the tests as a whole.
var (
	wine      string // the program
	kept      string // folder of what runs share: the go command for Windows, and Wine's own files
	larderExe string
	overlay   string // file for the flag -overlay of whatever is built for Windows
	holder    *exec.Cmd
)

func TestMain(m *testing.M) {
	temp, err := os.MkdirTemp("", "larder-wine-")
	if err == nil {
		err = setUp(temp)
	}
	status := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "wine:", err)
	} else {
		status = m.Run()
	}
	_ = wineCommand(context.Background(), nil, "wineboot", "--kill").Run()
	os.RemoveAll(temp)
	os.Exit(status)
}

// setUp makes what all tests need.
func setUp(temp string) (err error) {
	if wine, err = find("wine64", "/usr/lib/wine/wine64"); err != nil {
		return err
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	kept = filepath.Join(caches, "larder-wine", runtime.Version())
	overlay = filepath.Join(temp, "overlay.json")
	if err := writeOverlay(temp); err != nil {
		return fmt.Errorf("the change to the standard library: %w", err)
	}
	if err := buildGo(); err != nil {
		return fmt.Errorf("the go command for Windows: %w", err)
	}
	if err := bootWine(); err != nil {
		return fmt.Errorf("Wine's folder: %w", err)
	}
	if err := fillStock(temp); err != nil {
		return fmt.Errorf("the standard library, compiled under Wine: %w", err)
	}
	larderExe = filepath.Join(temp, "larder.exe")
	if err := forWindows("../..", "build", "-o", larderExe, "."); err != nil {
		return err
	}
	return holdServices()
}

// find returns the path of the first of programs that is there.
func find(programs ...string) (string, error) {
	for _, program := range programs {
		if path, err := exec.LookPath(program); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is missing: apt-get install --no-install-recommends wine wine64 gcc-mingw-w64-x86-64-win32", programs[0])
}

// goroot returns the folder of the go command that builds for Windows.
func goroot() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	return strings.TrimSpace(string(out)), err
}

// writeOverlay has the standard library remove files on Wine as it does on old versions of
// Windows. Go asks for a way that Wine does not have, and goes on to the older one only
// after other statuses than Wine's, which is STATUS_NOT_IMPLEMENTED.
func writeOverlay(temp string) error {
	root, err := goroot()
	if err != nil {
		return err
	}
	file := filepath.Join(root, "src", "internal", "syscall", "windows", "at_windows.go")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const status = "\t\tSTATUS_NOT_SUPPORTED:"
	if bytes.Count(text, []byte(status)) != 1 {
		return fmt.Errorf("%s has another way to remove files: change writeOverlay", file)
	}
	changed := filepath.Join(temp, "at_windows.go")
	text = bytes.Replace(text, []byte(status), []byte("\t\tNTStatus(0xC0000002), STATUS_NOT_SUPPORTED:"), 1)
	if err := os.WriteFile(changed, text, 0o644); err != nil {
		return err
	}
	text, err = json.Marshal(map[string]any{"Replace": map[string]string{file: changed}})
	if err != nil {
		return err
	}
	return os.WriteFile(overlay, text, 0o644)
}

// forWindows runs a go command in dir that builds for Windows.
func forWindows(dir, command string, args ...string) error {
	cmd := exec.Command("go", append([]string{command, "-overlay", overlay}, args...)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0", "GOCACHEPROG=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// buildGo makes a GOROOT for Windows, if an earlier run has not.
func buildGo() error {
	root := filepath.Join(kept, "go")
	done := filepath.Join(root, "complete")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	from, err := goroot()
	if err == nil {
		err = os.RemoveAll(root)
	}
	if err != nil {
		return err
	}
	for _, folder := range []string{"src", "lib", filepath.Join("pkg", "include")} {
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(filepath.Join(from, folder))); err != nil {
			return err
		}
	}
	for _, file := range []string{"VERSION", "go.env"} {
		data, err := os.ReadFile(filepath.Join(from, file))
		if err == nil {
			err = os.WriteFile(filepath.Join(root, file), data, 0o644)
		}
		if err != nil {
			return err
		}
	}
	src := filepath.Join(from, "src")
	if err := forWindows(src, "build", "-o", filepath.Join(root, "bin", "go.exe"), "cmd/go"); err != nil {
		return err
	}
	for _, tool := range []string{"compile", "link", "asm", "vet", "cover", "buildid"} {
		file := filepath.Join(root, "pkg", "tool", "windows_amd64", tool+".exe")
		if err := forWindows(src, "build", "-o", file, "cmd/"+tool); err != nil {
			return err
		}
	}
	return os.WriteFile(done, nil, 0o644)
}

// stock returns the folder of a GOCACHE that has the standard library, as far as the module of
// the tests needs it.
func stock() string { return filepath.Join(kept, "stock") }

// fillStock fills it, if an earlier run has not.
func fillStock(temp string) error {
	done := filepath.Join(kept, "stock is filled")
	if _, err := os.Stat(done); err == nil {
		return nil
	}
	module := filepath.Join(temp, "module")
	if err := writeModule(module, "stock"); err != nil {
		return err
	}
	for _, args := range [][]string{{"build", "-o", win(filepath.Join(temp, "stock.exe")), "."}, {"test", "./..."}} {
		cmd := goCommand(context.Background(), []string{"GOCACHE=" + win(stock())}, args...)
		cmd.Dir = module
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
	}
	return os.WriteFile(done, nil, 0o644)
}

// writeModule makes a module in dir: a program that prints word in capitals, and a test.
func writeModule(dir, word string) error {
	for name, text := range map[string]string{
		"go.mod":           "module hello\n\ngo 1.24\n",
		"main.go":          "package main\n\nimport \"hello/upper\"\n\nfunc main() { print(upper.Case(\"" + word + "\")) }\n",
		"upper/upper.go":   "package upper\n\nimport \"strings\"\n\nfunc Case(s string) string { return strings.ToUpper(s) }\n",
		"upper/up_test.go": "package upper\n\nimport \"testing\"\n\nfunc TestCase(t *testing.T) {\n\tif Case(\"a\") != \"A\" {\n\t\tt.Fail()\n\t}\n}\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return harness.Age(dir) // or no result of a test is kept
}

// prng is the source of the library that Wine lacks.
const prng = `#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
	return SystemFunction036(data, (ULONG)size);
}
`

// bootWine makes Wine's folder, if an earlier run has not.
func bootWine() error {
	library := filepath.Join(prefix(), "drive_c", "windows", "system32", "bcryptprimitives.dll")
	if _, err := os.Stat(library); err == nil {
		return nil
	}
	gcc, err := find("x86_64-w64-mingw32-gcc-win32", "x86_64-w64-mingw32-gcc")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(kept, "home"), 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out, err := wineCommand(ctx, nil, "wineboot", "--init").CombinedOutput()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) { // see holdServices
		return fmt.Errorf("%w\n%s", err, out)
	}
	for ctx.Err() == nil { // its services go on in the background
		if _, err := os.Stat(filepath.Join(prefix(), "system.reg")); err == nil {
			break
		}
		time.Sleep(time.Second)
	}
	cmd := exec.Command(gcc, "-shared", "-x", "c", "-", "-o", library, "-ladvapi32")
	cmd.Stdin = strings.NewReader(prng)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func prefix() string { return filepath.Join(kept, "prefix") }

// holdServices starts the holder, a program that ends with the tests. The first program that Wine runs
// starts its services, and they keep that program's stderr for as long as any runs: this one's,
// which is no pipe that a test waits for.
func holdServices() error {
	holder = wineCommand(context.Background(), nil, "cmd")
	if _, err := holder.StdinPipe(); err != nil { // cmd ends when it closes
		return err
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		return err
	}
	if err := holder.Start(); err != nil {
		return err
	}
	_, err = out.Read(make([]byte, 1)) // then it runs, and so do they
	return err
}

// win returns the path by which Windows programs know path.
func win(path string) string { return "Z:" + strings.ReplaceAll(path, "/", `\`) }

// wineCommand returns a command that runs a Windows program with env besides what each needs.
func wineCommand(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, wine, args...)
	cmd.Env = slices.Concat([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(kept, "home"),
		"WINEPREFIX=" + prefix(), "WINEDEBUG=-all",
		"GOROOT=" + win(filepath.Join(kept, "go")), `GOPATH=C:\gopath`,
		"WINEPATH=" + win(filepath.Join(kept, "go", "bin")), // what else PATH has
		"GOTOOLCHAIN=local", "GOPROXY=off", "GOTELEMETRY=off", "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false",
	}, env)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// goCommand returns a command that runs the go command.
func goCommand(ctx context.Context, env []string, args ...string) *exec.Cmd {
	return wineCommand(ctx, env, append([]string{filepath.Join(kept, "go", "bin", "go.exe")}, args...)...)
}

// machine is a machine that has one folder with a module, and one local tier.
type machine struct {
	t   *testing.T
	dir string   // the module
	env []string // of its go commands
}

// newMachine returns a machine in dir, whose local tier is a folder that is empty.
func newMachine(t *testing.T, dir, remote string, settings ...string) machine {
	return machine{t, dir, slices.Concat([]string{
		"GOCACHEPROG=" + quoted(win(larderExe)), "LARDER_DIR=" + win(filepath.Join(t.TempDir(), "local tier")),
		"LARDER_REMOTE=" + remote, "LARDER_STATS=json", "LARDER_PROFILE=tests", "LARDER_CLOSE=wait",
	}, settings)}
}

// quoted returns path as GOCACHEPROG has it.
func quoted(path string) string {
	if strings.Contains(path, " ") {
		return `"` + path + `"`
	}
	return path
}

// result is what a Windows program has printed.
type result struct {
	stdout, stderr string
	err            error
}

// run runs a Windows program, for ten minutes at most.
func (m machine) run(args ...string) result {
	m.t.Helper()
	return m.wait(func(ctx context.Context) *exec.Cmd { return wineCommand(ctx, m.env, args...) })
}

// goes runs the go command.
func (m machine) goes(args ...string) result {
	m.t.Helper()
	return m.wait(func(ctx context.Context) *exec.Cmd { return goCommand(ctx, m.env, args...) })
}

// wait runs a command.
func (m machine) wait(command func(context.Context) *exec.Cmd) result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 10*time.Minute)
	defer cancel()
	cmd := command(ctx)
	cmd.Dir = m.dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run() // an error if a process in the background keeps the pipe
	if ctx.Err() != nil {
		m.t.Errorf("%v hung", cmd.Args)
	}
	plain := func(b bytes.Buffer) string { return strings.ReplaceAll(b.String(), "\r", "") }
	return result{plain(stdout), plain(stderr), err}
}

// flush runs larder flush.
func (m machine) flush() {
	m.t.Helper()
	if r := m.run(larderExe, "flush"); r.err != nil {
		m.t.Errorf("flush: %v\n%s%s", r.err, r.stdout, r.stderr)
	}
}
