package drill

import (
	"flag"
	"os"
	"testing"
)

// TestMain lets more tests run beside each other than there are processors: those that ask for it watch a process or a cable for some seconds,
// and wait meanwhile.
func TestMain(m *testing.M) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set("6"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
