package holdfast

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// house lists our packages from the ground up; a package may import those above it in this list and none below.
// The reason for an arrow that is missing stands beside the package.
var house = []struct {
	name string
	uses []string // of ours
}{
	{"", nil},
	{"ledger", []string{""}},                       // pure: outcome depends on the log alone
	{"transit", []string{"", "ledger"}},            // pure: what is proposed to which shard, and when again
	{"slot", []string{"", "ledger", "transit"}},    // pure: what is proposed to move a slot, and when
	{"guard", []string{""}},                        // pure: who may do what
	{"bank/iso20022", []string{""}},                // pure: messages, whoever exchanges them
	{"pay", []string{"", "bank/iso20022"}},         // pure: a domain knows accounts and records, and not where they are; and how banks number accounts
	{"pay/paytest", []string{"", "ledger", "pay"}}, // books in memory, for tests
	{"signin", []string{"", "guard", "pay"}},       // pure: who comes in, and as whom; asks pay whose a phone number is
	{"signin/signintest", []string{}},              // an authenticator, for tests
	{"check", []string{""}},                        // judges answers; must not share code with what it judges
	{"fault", []string{""}},                        // cables know bytes, not payments
	{"retail", []string{""}},                       // recorded data
	{"bank", []string{"", "bank/iso20022"}},        // pure: what is sent and asked, and when; knows orders through an interface of its own
	{"bank/clerk", []string{"", "bank"}},           // drives the resolver, for any connector and any book of orders
	{"bank/wire", []string{"", "bank", "bank/iso20022"}},
	{"bank/files", []string{"", "bank"}},
	{"bank/exchange", []string{"", "bank", "bank/iso20022", "bank/files", "bank/wire"}}, // reads what the bank says as wire does
	{"bank/testbank", []string{"", "bank/iso20022", "bank/files"}},                      // a bank: shares nothing with its customers but the messages
	{"store", []string{"", "ledger"}},                                                   // durable, does not know Raft
	{"shard", []string{"", "ledger", "store"}},                                          // the only one that knows Raft
	{"link", []string{""}},                                                              // frames; does not know what they carry
	{"proof", []string{"", "link"}},                                                     // signatures on answers, whatever they say
	{"receipt", []string{"", "link"}},                                                   // what sites sign of a payment, and how it is checked without them
	{"site", []string{"", "ledger", "transit", "slot", "guard", "store", "shard", "link"}},
	{"scancode", []string{}},  // pictures of texts, whatever they say
	{"webhook", []string{""}}, // posts what it is given, whatever it says
	{"httpapi", []string{"", "guard", "shard", "site", "ledger", "transit", "proof", "receipt", "pay", "signin", "webhook", "scancode"}},
	{"backoffice", []string{"", "pay", "webhook", "bank", "bank/clerk", "bank/wire", "bank/files"}}, // works on what its site leads; knows sites through an interface
	{"alipay", []string{""}},                               // a protocol: knows signatures and parameters, not what a trade is
	{"checkout", []string{"", "pay", "scancode"}},          // pages for a customer; knows no merchant protocol
	{"desk", []string{"", "pay", "alipay"}},                // joins the protocol with the domain, and neither with the other
	{"client", []string{""}},                               // what an integrator imports: no part of the server
	{"doctor", []string{"", "client", "guard", "site"}},    // reads configurations, and asks as any client does
	{"page", []string{"", "client"}},                       // the ground of all pages: asks the API with the rights of the person, and knows no other way
	{"page/pagetest", []string{"client", "page"}},          // a browser, for tests
	{"console", []string{"", "client", "doctor", "page"}},  // pages of operators
	{"portal", []string{"", "client", "page", "scancode"}}, // pages of merchants
	{"wallet", []string{"", "client", "page", "scancode"}}, // pages of customers
	{"evidence", []string{"", "client", "check", "proof"}}, // judges a file, and asks nobody
	{"drill", []string{"", "client", "fault", "check", "retail", "link", "site", "guard", "proof", "evidence", "drill/rivals"}}, // pays through client only
	{"street", []string{"", "client", "retail"}},    // merchants and customers of a sandbox: pay through client only
	{"drill/rivals", []string{"", "fault", "link"}}, // carries bytes in other ways than link does, and compares
	{"bench", nil}, // measures any layer
	{"sim", nil},   // may import everything, nobody imports it but the command line
	{"cmd/holdfast", nil},
}

// only says which package alone may know a library, so that replacing it touches one place.
var only = map[string][]string{
	"go.etcd.io/raft":                {"shard", "sim"},
	"github.com/cockroachdb/pebble":  {"store", "sim"},
	"github.com/danielgtaylor/huma":  {"httpapi"},
	"github.com/boombuler/barcode":   {"scancode"},
	"github.com/spf13/cobra":         {"cmd/holdfast"},
	"github.com/vishvananda/netlink": {"doctor"},
	"golang.org/x/text":              {"alipay", "signin", "page", "httpapi"},
	"golang.org/x/crypto":            {"signin"},
	"github.com/go-webauthn":         {"signin"},
	"holdfast/drill/rivals":          {"drill"}, // ways to carry messages that no site can be made to use
}

// pure packages decide; time and randomness are arguments, and nothing in them can wait.
var pure = []string{"", "ledger", "transit", "slot", "guard", "bank", "bank/iso20022", "pay", "signin"}

var impure = []string{"os", "net", "net/http", "math/rand", "math/rand/v2", "crypto/rand", "io/fs", "log", "log/slog", "syscall", "time/now"}

type file struct {
	dir  string // "" is the root
	path string
	test bool
	ast  *ast.File
}

func TestArrowsOnlyGoUp(t *testing.T) {
	for _, f := range sources(t) {
		for _, imported := range imports(f) {
			ours, found := strings.CutPrefix(imported, "holdfast")
			if !found || f.test {
				continue
			}
			if !mayUse(f.dir, strings.TrimPrefix(ours, "/")) {
				t.Errorf("%s imports %s: not an arrow of the house (arch_test.go)", f.path, imported)
			}
		}
	}
}

func TestOneOwnerForEachLibrary(t *testing.T) {
	for _, f := range sources(t) {
		for _, imported := range imports(f) {
			for library, owners := range only {
				if strings.HasPrefix(imported, library) && !slices.Contains(owners, f.dir) && !f.test {
					t.Errorf("%s imports %s: only %v may", f.path, imported, owners)
				}
			}
		}
	}
}

func TestTheCoreSeesNoClockRandomnessOrDisk(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || !slices.Contains(pure, f.dir) {
			continue
		}
		for _, imported := range imports(f) {
			if slices.Contains(impure, imported) {
				t.Errorf("%s imports %s: %q is pure", f.path, imported, f.dir)
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine: %q is pure", f.path, f.dir)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Sleep", "After", "NewTimer"}, n.Sel.Name) {
					t.Errorf("%s asks the clock (time.%s): time is an argument", f.path, n.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said := map[string]bool{}
	for _, f := range sources(t) {
		if !f.test {
			said[f.dir] = said[f.dir] || f.ast.Doc != nil
		}
	}
	for dir, ok := range said {
		if !ok {
			t.Errorf("package %q has no package comment", dir)
		}
	}
}

// longAllowed are the few functions above 70 lines, each a flat list that would read worse in pieces.
var longAllowed = map[string]bool{}

func TestFunctionsAreShort(t *testing.T) {
	var lengths []int
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			n := fset.Position(fn.End()).Line - fset.Position(fn.Pos()).Line + 1
			lengths = append(lengths, n)
			if name := f.dir + "." + fn.Name.Name; n > 70 && !longAllowed[name] {
				t.Errorf("%s: %s has %d lines, 70 is the limit", f.path, fn.Name.Name, n)
			}
		}
	}
	slices.Sort(lengths)
	if median := lengths[len(lengths)/2]; median > 12 {
		t.Errorf("the median function has %d lines, 12 is the limit", median)
	}
	if most := lengths[len(lengths)*9/10]; most > 45 {
		t.Errorf("one function in ten has %d lines or more, 45 is the limit", most)
	}
}

var fset = token.NewFileSet()

func mayUse(dir, ours string) bool {
	for _, p := range house {
		if p.name == dir {
			return p.uses == nil && ours != "sim" && dir != "" || dir == "cmd/holdfast" || slices.Contains(p.uses, ours)
		}
	}
	return false
}

func sources(t *testing.T) []file {
	t.Helper()
	var files []file
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := path.Dir(filepath.ToSlash(name))
		if dir == "." {
			dir = ""
		}
		files = append(files, file{dir, name, strings.HasSuffix(name, "_test.go"), parsed})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func imports(f file) []string {
	var all []string
	for _, i := range f.ast.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		all = append(all, p)
	}
	return all
}
