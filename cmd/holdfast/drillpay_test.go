package main

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"holdfast/drill"
)

// TestTheSDKPaysThroughACut has the official SDK pay while the site that leads is cut off: every promise but those about time.
func TestTheSDKPaysThroughACut(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute")
	}
	const allowed = "HOLDFAST_WITHOUT_NODE_SDK"
	if os.Getenv(allowed) != "" {
		t.Skipf("%s is set: it is not tried whether the official SDK pays through a cut", allowed)
	}
	if _, _, err := drill.FindSDK(); err != nil {
		t.Fatalf("%v; or set %s=1 to skip what only the SDK can prove", err, allowed)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "holdfast", "drill", "run", "pay-through-site-cut", "--json", "-")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	errs := newListener("never said")
	cmd.Stderr = errs
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	r := keptPromises(t, out, errs.String())
	if len(r.Faults) != 1 || r.Faults[0].Kind != "site-cut" || r.Faults[0].LeaderChanges == 0 {
		t.Errorf("faults: %+v", r.Faults)
	}
	for _, reason := range r.Reasons {
		if !strings.Contains(reason, "a pause of") && !strings.Contains(reason, "without a definite answer") && !strings.Contains(reason, "were not decided") &&
			!strings.Contains(reason, ": known after ") && !strings.Contains(reason, "what is left proves little") {
			t.Errorf("failed, and not for want of time: %s\n%s", reason, errs.String())
		}
	}
}
