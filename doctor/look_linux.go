package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// hopTo asks the kernel where it would send a packet, with all its tables and rules.
func hopTo(to netip.Addr) (Hop, error) {
	routes, err := netlink.RouteGet(net.IP(to.AsSlice()))
	if err != nil || len(routes) == 0 {
		return Hop{}, errors.Join(fmt.Errorf("no route to %s", to), err)
	}
	link, err := netlink.LinkByIndex(routes[0].LinkIndex)
	if err != nil {
		return Hop{}, fmt.Errorf("the device on the way to %s: %w", to, err)
	}
	gateway, _ := netip.AddrFromSlice(routes[0].Gw)
	return Hop{Device: link.Attrs().Name, Gateway: gateway.Unmap()}, nil
}

func (d *Disk) space(dir string) error {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return fmt.Errorf("space of %s: %w", dir, err)
	}
	d.Free = s.Bavail * uint64(s.Bsize)
	d.InMemory = s.Type == unix.TMPFS_MAGIC || s.Type == unix.RAMFS_MAGIC
	return nil
}

func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

func openFiles() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return l.Cur
}

// noPriority reports that a process of this user may not have the priority. It tries nothing: root may, and so may who has the
// capability, or a limit that allows it (20 minus the lowest number).
func noPriority(nice int) bool {
	if nice >= 0 || os.Geteuid() == 0 {
		return false
	}
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NICE, &l) == nil && int64(l.Cur) >= int64(20-nice) {
		return false
	}
	head, data := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, [2]unix.CapUserData{}
	err := unix.Capget(&head, &data[0])
	return err != nil || data[0].Effective&(1<<unix.CAP_SYS_NICE) == 0
}
