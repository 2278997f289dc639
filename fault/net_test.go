package fault_test

import (
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"holdfast"
	"holdfast/fault"
)

// fleet lays two carriers between three sites and one cable from the outside to each.
func fleet(t *testing.T) *fault.Net {
	t.Helper()
	n := fault.NewNet(time.Millisecond)
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	addr, _ := echo(t)
	for from := fault.Outside; from <= 3; from++ {
		for to := holdfast.SiteID(1); to <= 3; to++ {
			for carrier := range 2 {
				if from == to || from == fault.Outside && carrier > 0 {
					continue
				}
				if _, err := n.Lay(fault.Route{From: from, To: to, Carrier: carrier}, "", addr); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	return n
}

// cuts lists what is cut as text: cable and directions.
func cuts(n *fault.Net) []string {
	var all []string
	for r, s := range n.Stats() {
		if s.Cut != 0 {
			all = append(all, fmt.Sprintf("%v:%d", r, s.Cut))
		}
	}
	slices.Sort(all)
	return all
}

func TestNetCuts(t *testing.T) {
	n := fleet(t)
	rows := []struct {
		name string
		cut  func()
		want []string
	}{
		{"site", func() { n.CutSite(1) }, []string{"0>1/0:3", "1>2/0:3", "1>2/1:3", "1>3/0:3", "1>3/1:3", "2>1/0:3", "2>1/1:3", "3>1/0:3", "3>1/1:3"}},
		{"pair", func() { n.CutPair(2, 3) }, []string{"2>3/0:3", "2>3/1:3", "3>2/0:3", "3>2/1:3"}},
		{"carrier", func() { n.CutCarrier(1) }, []string{"1>2/1:3", "1>3/1:3", "2>1/1:3", "2>3/1:3", "3>1/1:3", "3>2/1:3"}},
		{"one way", func() { n.CutOneWay(1, 2) }, []string{"1>2/0:1", "1>2/1:1", "2>1/0:2", "2>1/1:2"}},
		{"mute", func() { n.Mute(1) }, []string{"1>2/0:1", "1>2/1:1", "1>3/0:1", "1>3/1:1", "2>1/0:2", "2>1/1:2", "3>1/0:2", "3>1/1:2"}},
		{"deafen", func() { n.Deafen(1) }, []string{"1>2/0:2", "1>2/1:2", "1>3/0:2", "1>3/1:2", "2>1/0:1", "2>1/1:1", "3>1/0:1", "3>1/1:1"}},
		{"heal a site", func() { n.CutPair(2, 3); n.CutPair(1, 2); n.HealSite(1) }, []string{"2>3/0:3", "2>3/1:3", "3>2/0:3", "3>2/1:3"}},
		{"heal a way", func() {
			n.CutPair(1, 2)
			n.HealWhere(func(f fault.Route) bool { return f == fault.Route{From: 1, To: 2} })
		}, []string{"1>2/0:2", "1>2/1:3", "2>1/0:1", "2>1/1:3"}},
	}
	for _, row := range rows {
		row.cut()
		if got := cuts(n); !slices.Equal(got, row.want) {
			t.Errorf("%s: cut %v, want %v", row.name, got, row.want)
		}
		n.HealAll()
		if got := cuts(n); len(got) != 0 {
			t.Errorf("%s: after HealAll still cut: %v", row.name, got)
		}
	}
}

func TestNetLaysEachRouteOnce(t *testing.T) {
	n := fleet(t)
	if _, err := n.Lay(fault.Route{From: 1, To: 2}, "", "127.0.0.1:1"); err == nil {
		t.Error("a second cable was laid on a route")
	}
	if n.Cable(fault.Route{From: 1, To: 1}) != nil {
		t.Error("there is a cable where none was laid")
	}
	n.SetDelay(0)
	c := dial(t, n.Cable(fault.Route{From: 1, To: 2}).Addr())
	send(t, c, []byte("through"))
	expect(t, c, []byte("through"))
}

func TestProcess(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, do := range []func() error{
		func() error { return fault.Stop(cmd.Process) },
		func() error { return fault.Cont(cmd.Process) },
		func() error { return fault.Kill(cmd.Process) },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	_ = cmd.Wait() // says "killed", which is looked at below
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		t.Errorf("the process ended with %v", status)
	}
	if err := fault.Kill(cmd.Process); err == nil {
		t.Error("killing a process that is gone should be an error")
	}
}
