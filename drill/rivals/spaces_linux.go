package rivals

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// spaces is a ground of network namespaces: two sites and a router for each carrier. A carrier is cut by its router, which
// stops to forward: both sites still see their line up, and nobody is told.
type spaces struct {
	prefix string // of the names, of this process alone
}

const (
	portBase = 7000
	toolTime = 10 * time.Second // for one call of ip
)

func (s *spaces) site(side int) string      { return fmt.Sprintf("%s-s%d", s.prefix, side) }
func (s *spaces) router(carrier int) string { return fmt.Sprintf("%s-r%d", s.prefix, carrier) }

// host is the address of a site, gate that of the router before it.
func host(side, carrier int) string { return fmt.Sprintf("10.%d.%d.2", 250+carrier, side) }
func gate(side, carrier int) string { return fmt.Sprintf("10.%d.%d.1", 250+carrier, side) }

func newSpaces(ctx context.Context) (ground, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("they take root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return nil, fmt.Errorf("they are made with iproute2: %w", err)
	}
	s := &spaces{prefix: fmt.Sprintf("rivals%d", os.Getpid())}
	if err := s.build(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *spaces) build(ctx context.Context) error {
	for side := range 2 {
		if err := s.add(ctx, s.site(side)); err != nil {
			return err
		}
	}
	for carrier := range carriers {
		if err := s.add(ctx, s.router(carrier)); err != nil {
			return err
		}
		for side := range 2 {
			if err := s.join(ctx, side, carrier); err != nil {
				return err
			}
		}
		for side := range 2 {
			if err := ip(ctx, s.site(side), "route add 10.%d.%d.0/24 via %s", 250+carrier, 1-side, gate(side, carrier)); err != nil {
				return err
			}
		}
		if err := s.heal(carrier); err != nil {
			return err
		}
	}
	return nil
}

func (s *spaces) add(ctx context.Context, name string) error {
	if err := ip(ctx, "", "netns add %s", name); err != nil {
		return err
	}
	return ip(ctx, name, "link set lo up")
}

// join lays a line between a site and the router of a carrier.
func (s *spaces) join(ctx context.Context, side, carrier int) error {
	here, there := fmt.Sprintf("c%d", carrier), fmt.Sprintf("s%d", side)
	site, router := s.site(side), s.router(carrier)
	return errors.Join(
		ip(ctx, "", "link add %s netns %s type veth peer name %s netns %s", here, site, there, router),
		ip(ctx, site, "addr add %s/24 dev %s", host(side, carrier), here),
		ip(ctx, router, "addr add %s/24 dev %s", gate(side, carrier), there),
		ip(ctx, site, "link set %s up", here),
		ip(ctx, router, "link set %s up", there),
	)
}

// ip runs one command of iproute2, in a namespace if one is named.
func ip(ctx context.Context, space, format string, args ...any) error {
	command := strings.Fields(fmt.Sprintf(format, args...))
	if space != "" {
		command = append([]string{"-n", space}, command...)
	}
	ctx, cancel := context.WithTimeout(ctx, toolTime)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "ip", command...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(command, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (s *spaces) String() string { return "network namespaces" }

func (s *spaces) address(side, carrier int) string {
	return fmt.Sprintf("%s:%d", host(side, carrier), portBase+carrier)
}

func (s *spaces) route(from, carrier int) string { return s.address(1-from, carrier) }

func (s *spaces) within(side int, make func() error) error { return inSpace(s.site(side), make) }

func (s *spaces) cut(carrier int) error  { return s.forward(carrier, "0") }
func (s *spaces) heal(carrier int) error { return s.forward(carrier, "1") }

// forward tells a router whether to forward. One that does not drops what is not for itself, and says nothing.
func (s *spaces) forward(carrier int, on string) error {
	return inSpace(s.router(carrier), func() error {
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(on), 0)
	})
}

// multipath lets the near site add a second way to a connection when the far one announces its other address.
func (s *spaces) multipath() error {
	on, err := os.ReadFile("/proc/sys/net/mptcp/enabled")
	if err != nil {
		return fmt.Errorf("this kernel has no Multipath TCP: %w", err)
	}
	if strings.TrimSpace(string(on)) != "1" {
		return errors.New("sysctl net.mptcp.enabled is off here")
	}
	ctx := context.Background()
	for side := range 2 {
		if err := ip(ctx, s.site(side), "mptcp limits set subflows 4 add_addr_accepted 4"); err != nil {
			return err
		}
	}
	_ = ip(ctx, s.site(far), "mptcp endpoint flush") // of the run before, if there was one
	return ip(ctx, s.site(far), "mptcp endpoint add %s dev c1 signal", host(far, 1))
}

// close removes the namespaces, and with them everything in them. Those that were not made are no error.
func (s *spaces) close() (err error) {
	for i := range 2 {
		for _, name := range []string{s.site(i), s.router(i)} {
			if _, missing := os.Stat("/run/netns/" + name); missing == nil {
				err = errors.Join(err, ip(context.Background(), "", "netns del %s", name))
			}
		}
	}
	return err
}

// inSpace runs a function on a thread that is in a namespace. Sockets stay where they were made.
func inSpace(name string, do func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer home.Close()
	space, err := os.Open("/run/netns/" + name)
	if err != nil {
		return err
	}
	defer space.Close()
	if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	failed := do()
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		panic(fmt.Sprintf("cannot leave network namespace %s: %v", name, err)) // the thread would serve others from there
	}
	return failed
}

// subflows is how many ways a connection of Multipath TCP has beside its first (struct mptcp_info in linux/mptcp.h).
func subflows(c net.Conn) (n int, err error) {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	const solMPTCP, mptcpInfo = 284, 1
	var failed error
	err = raw.Control(func(fd uintptr) {
		var first int
		first, failed = unix.GetsockoptInt(int(fd), solMPTCP, mptcpInfo)
		var b [4]byte
		binary.NativeEndian.PutUint32(b[:], uint32(first))
		n = int(b[0])
	})
	return n, errors.Join(err, failed)
}
