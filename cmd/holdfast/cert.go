package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/guard"
	"holdfast/link"
)

const (
	day      = 24 * time.Hour
	caLife   = 10 * 365 * day
	siteDays = 2 * 365
)

func newCert() *cobra.Command {
	return group("cert", "Make the certificates by which the sites of a fleet know each other",
		`Make the certificates by which the sites of a fleet know each other. The fleet has an authority of its own; a site
without a certificate of it gets nothing, not even an error. Keep ca.key where no site runs.`,
		newCertCA(), newCertSite())
}

func newCertCA() *cobra.Command {
	var dir, cluster string
	cmd := &cobra.Command{
		Use:     "ca",
		Short:   "Make the authority of a new fleet: ca.crt and ca.key",
		Long:    "Make the authority of a new fleet: ca.crt, which every site needs, and ca.key, which only makes certificates. Files that exist are never overwritten.",
		Example: "  holdfast cert ca --dir pki --cluster prod",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ca, err := link.NewCA(cluster, time.Now(), caLife)
			if err != nil {
				return badUsage(cmd, err)
			}
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return fmt.Errorf("make the directory for the certificates: %w", err)
			}
			crt, key := filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key")
			if err := link.WritePair(crt, key, ca.Pair()); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s  for every site\n%s  keep it where no site runs: whoever has it can make sites\n", crt, key)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "pki", "`DIR` to write to")
	cmd.Flags().StringVar(&cluster, "cluster", "prod", "`NAME` of the fleet, as in the configuration of its sites")
	return cmd
}

func newCertSite() *cobra.Command {
	var dir string
	var sites []uint
	var days int
	cmd := &cobra.Command{
		Use:   "site",
		Short: "Make the certificate of a site, or of several: site-N.crt and site-N.key",
		Long: `Make the certificate of a site, or of several, with the authority that "holdfast cert ca" made in the same directory. A
certificate says which site its holder is; addresses may change. Files that exist are never overwritten.

A certificate is good for two years, or for --days, and never longer than its authority. Connections between sites end with the
certificates that they were made with: "holdfast doctor" warns a month before.`,
		Example: "  holdfast cert site --dir pki --site 1\n  holdfast cert site --dir pki --site 2,3\n  holdfast cert site --dir pki --site 4 --days 90",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(sites) == 0 {
				return badUsage(cmd, errors.New("say for which site: --site 1"))
			}
			if err := siteNumbers(sites); err != nil {
				return badUsage(cmd, err)
			}
			if days < 1 || days > int(caLife/day) {
				return badUsage(cmd, fmt.Errorf("--days %d: 1 to %d", days, int(caLife/day)))
			}
			return makeSiteCerts(cmd, dir, sites, time.Duration(days)*day, !cmd.Flags().Changed("days"))
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "pki", "`DIR` with the authority, to write to")
	cmd.Flags().UintSliceVar(&sites, "site", nil, "`NUMBER` of the site, as in its configuration; several, separated by commas")
	cmd.Flags().IntVar(&days, "days", siteDays, "`N` days for which the certificate is good; by default fewer where the authority ends earlier")
	return cmd
}

// siteNumbers refuses what is no number of a site, and one that is given twice.
func siteNumbers(sites []uint) error {
	for i, n := range sites {
		if n < 1 || n > 65535 {
			return fmt.Errorf("site %d: the numbers of sites are 1 to 65535", n)
		}
		if slices.Contains(sites[:i], n) {
			return fmt.Errorf("site %d is named twice", n)
		}
	}
	return nil
}

// siteBase is the name of the files of a site, without what says which of the two it is.
func siteBase(dir string, n uint) string { return filepath.Join(dir, fmt.Sprintf("site-%d", n)) }

// siteLife is how long a certificate may live. A life that nobody has asked for gives way to the end of the authority.
func siteLife(cmd *cobra.Command, ca *link.CA, now time.Time, life time.Duration, byDefault bool) (time.Duration, error) {
	rest, end := ca.Expires().Sub(now), ca.Expires().UTC().Format(time.DateOnly)
	switch {
	case life <= rest:
		return life, nil
	case rest < day:
		return 0, fmt.Errorf("the authority ends %s: make a new one (docs/runbooks/certificates.md)", end)
	case !byDefault:
		return 0, badUsage(cmd, fmt.Errorf("--days %d: the authority ends %s, and no certificate outlives it: give %d or fewer, or make a new authority",
			int(life/day), end, int(rest/day)))
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "The authority ends %s, and the certificate with it, after %d days instead of %d.\n", end, int(rest/day), int(life/day))
	return rest, nil
}

func makeSiteCerts(cmd *cobra.Command, dir string, sites []uint, life time.Duration, byDefault bool) error {
	now := time.Now()
	ca, err := link.LoadCA(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "ca.key"), now)
	if err != nil {
		return err
	}
	if life, err = siteLife(cmd, ca, now, life, byDefault); err != nil {
		return err
	}
	for _, n := range sites { // all before the first is written: an order that is refused has done nothing
		if err := link.CheckNew(siteBase(dir, n)+".crt", siteBase(dir, n)+".key"); err != nil {
			return err
		}
	}
	for _, n := range sites {
		pair, err := ca.NewSiteCert(holdfast.SiteID(n), now, life)
		if err != nil {
			return err
		}
		base := siteBase(dir, n)
		if err := link.WritePair(base+".crt", base+".key", pair); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s.crt, %s.key  for site %d of %s, good until %s\n", base, base, n, ca.Cluster(), now.Add(life).UTC().Format(time.DateOnly))
	}
	return nil
}

func newKey() *cobra.Command {
	var role string
	cmd := &cobra.Command{
		Use:   "key NAME",
		Short: "Make an API key: the text for its user, and what goes into the configuration",
		Long: `Make an API key. The text is printed once, for its user; the section goes into the configuration of every site.
The platform stores the hash only: a key that is lost is replaced, not recovered.

Roles: reader (sees), teller (pays too), operator (moves leaders, freezes and closes accounts too).`,
		Example: "  holdfast key checkout --role teller",
		Args:    one("name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := guard.ParseRole(role)
			if err != nil {
				return badUsage(cmd, err)
			}
			key, secret, err := newAPIKey(args[0], r)
			if err != nil {
				return badUsage(cmd, err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "# The key, for its user; it is shown this once:\n#   %s\n\n%s", secret.Reveal(), keySection(key))
			return nil
		},
	}
	cmd.Flags().StringVar(&role, "role", "teller", "`ROLE` of the key: reader, teller or operator")
	return cmd
}

func newAPIKey(name string, role guard.Role) (guard.Key, guard.Secret, error) {
	var random [guard.KeyEntropy]byte
	if _, err := rand.Read(random[:]); err != nil {
		return guard.Key{}, guard.Secret{}, fmt.Errorf("make an API key: %w", err)
	}
	return guard.NewKey(name, role, random)
}

func keySection(k guard.Key) string {
	return fmt.Sprintf("[[api_key]]\nname = %q\nrole = %q\nsha256 = \"%x\"\n", k.Name, k.Role, k.Hash)
}
