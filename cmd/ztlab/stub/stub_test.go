package stub_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// most bounds the packages of the lab's binary, which decide how long its first build
// takes: 3,168 on Linux, and room for an update. Raise it knowingly.
const most = 3250

// absent are import paths that the lab's binary does not link, nor any below them.
// Those with a stub are allowed from the stub's directory only.
var absent = []struct{ path, why string }{
	{"cloud.google.com", "clients of Google Cloud"},
	{"google.golang.org/api", "clients of Google Cloud"},
	{"github.com/googleapis/gax-go", "clients of Google Cloud"},
	{"github.com/google/go-metrics-stackdriver", "clients of Google Cloud"},
	{"github.com/aws", "SDKs of AWS"},
	{"github.com/Azure/azure-sdk-for-go", "SDK of Azure"},
	{"github.com/Azure/go-autorest", "SDK of Azure"},
	{"github.com/AzureAD", "SDK of Azure"},
	{"github.com/aliyun", "SDK of Alibaba Cloud"},
	{"github.com/denverdino/aliyungo", "SDK of Alibaba Cloud"},
	{"github.com/tencentcloud", "SDK of Tencent Cloud"},
	{"github.com/oracle/oci-go-sdk", "SDK of Oracle Cloud"},
	{"github.com/softlayer", "SDK of IBM Cloud"},
	{"github.com/vmware/govmomi", "SDK of vSphere"},
	{"github.com/digitalocean/godo", "SDK of DigitalOcean"},
	{"github.com/gophercloud", "SDK of OpenStack"},
	{"github.com/hashicorp/hcp-sdk-go", "SDK of HCP"},
	{"github.com/hashicorp/go-discover", "members of a cluster in fourteen clouds"},
	{"github.com/hashicorp/go-kms-wrapping/wrappers/alicloudkms", "seal with a cloud's key"},
	{"github.com/hashicorp/go-kms-wrapping/wrappers/awskms", "seal with a cloud's key"},
	{"github.com/hashicorp/go-kms-wrapping/wrappers/azurekeyvault", "seal with a cloud's key"},
	{"github.com/hashicorp/go-kms-wrapping/wrappers/gcpckms", "seal with a cloud's key"},
	{"github.com/hashicorp/go-kms-wrapping/wrappers/ocikms", "seal with a cloud's key"},
	{"github.com/hashicorp/go-secure-stdlib/awsutil", "SDKs of AWS"},
	{"github.com/hashicorp/go-secure-stdlib/plugincontainer", "plugins in containers"},
	{"github.com/hashicorp/vault/helper/builtinplugins", "every plugin of Vault"},
	{"github.com/docker/docker", "client of Docker"},
	{"github.com/okta", "SDK of Okta"},
	{"github.com/jackc", "driver of PostgreSQL"},
	{"go.mongodb.org", "driver of MongoDB"},
}

// A pkg is a package of the build.
type pkg struct{ path, dir string }

// build returns the packages that the lab's binary links.
func build(t *testing.T) []pkg {
	t.Helper()
	_ = os.Getenv("ZTLAB_BUILD") // Go keeps results for the environment that a test reads
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}} {{.Dir}}", ".")
	list.Dir = ".."
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		all = append(all, pkg{path, dir})
	}
	return all
}

// TestAbsent fails when an update, or a new import, brings back code that the lab
// never calls.
func TestAbsent(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	linked := build(t)
	for _, p := range linked {
		for _, a := range absent {
			below := p.path == a.path || strings.HasPrefix(p.path, a.path+"/")
			if below && !strings.HasPrefix(p.dir, here+string(filepath.Separator)) {
				t.Errorf("the lab links %s (%s): the lab never calls it; find what imports it, and see the package comment of stub", p.path, a.why)
			}
		}
	}
	if len(linked) > most {
		t.Errorf("the lab links %d packages, at most %d are wanted", len(linked), most)
	}
}

// replaced is a line of go.mod that puts a stub in the place of a module.
var replaced = regexp.MustCompile(`^\t(\S+) => \./stub/(\S+)$`)

// TestStubsAreUsed fails for a stub that nothing needs any more, and for one whose
// replace directive is missing or names another module.
func TestStubsAreUsed(t *testing.T) {
	mod, err := os.Open(filepath.Join("..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	defer mod.Close()
	modules := map[string]string{} // directory to path
	for lines := bufio.NewScanner(mod); lines.Scan(); {
		if found := replaced.FindStringSubmatch(lines.Text()); found != nil {
			modules[found[2]] = found[1]
		}
	}
	files, err := filepath.Glob("*/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(modules) {
		t.Errorf("%d stubs, but %d replace directives in go.mod", len(files), len(modules))
	}
	linked := build(t)
	for _, file := range files {
		dir := filepath.Dir(file)
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "\nmodule "+modules[dir]+"\n") {
			t.Errorf("%s does not name the module that go.mod puts it in the place of: %q", file, modules[dir])
		}
		if !slices.ContainsFunc(linked, func(p pkg) bool { return strings.Contains(p.dir, "/stub/"+dir) }) {
			t.Errorf("stub/%s is not in the build: remove it and its replace directive", dir)
		}
	}
}
