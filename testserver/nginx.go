package testserver

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Nginx starts nginx, and returns its host:port. server returns the server block of its
// configuration, for that port of 127.0.0.1 and for a directory of its own. scheme, http or
// https, is what it speaks.
func Nginx(t testing.TB, scheme string, server func(port int, dir string) string) (addr string) {
	t.Helper()
	file, err := exec.LookPath("nginx")
	if err != nil {
		if file, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			unavailable(t, "%v: install Debian's package nginx-light", err)
		}
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	return startUntil(t, answersHTTP(scheme), file, func(port int) []string {
		if err := os.WriteFile(conf, []byte(nginxConf(dir, server(port, dir))), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{"-p", dir, "-c", conf, "-e", "stderr"}
	})
}

// nginxConf returns a configuration with a server block, all of whose files lie in dir.
func nginxConf(dir, server string) string {
	user := ""
	if os.Getuid() == 0 {
		user = "user root;" // else it could not reach dir
	}
	return fmt.Sprintf(`
daemon off;
master_process off; # the test kills one process
%s
pid %s/pid;
worker_processes 1;
events {}
http {
	access_log off;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	%[3]s
}
`, user, dir, server)
}
