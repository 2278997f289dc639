package main

import (
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"holdfast/drill"
	"holdfast/evidence"
)

func newCheck() *cobra.Command {
	var authority, keys, file string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Check the receipt of a payment, or the evidence of drills, without the fleet and without trusting anybody",
		Long: `Check a file without the fleet: the receipt of one payment, or the evidence of drills.

A receipt is what a customer, a merchant or holdfast safe is given who asks whether a payment is safe. It says what was paid, where that stands in
which log, and which sites have it on their disks, signed by each of these sites (Ed25519). It is checked that every signature fits, that all are
about this payment, these contents and this place, that nobody is counted twice or left out, and that the number fits. The exit status is 0 when a
majority of the sites that vote have signed themselves, with keys that you trust; otherwise it is 1, and it is said what the receipt shows and what
not. --keys names the keys of the sites, as holdfast safe --keys or GET /v1/receipt-keys gave them to you before, and --ca the certificate of
the fleet's authority; without either the keys are those in the receipt, which shows that nothing was changed and not who made it.

Evidence of drills is checked from nothing but a file that holdfast drill run --evidence has written: the receipts of those
who paid, and every answer of the sites afterwards, signed with the keys of the sites.

It verifies each signature and its certificate, puts the statements together page by page, and checks that no page is missing and every
line adds up; that each acknowledged payment stands on them at every site, once, as it was asked for; that nothing else does; that the
sites have signed the same; that their own audits are good and compared with each other; and that those who answered are a majority of
the sites that have a replica, as the audits name them. Where people pay, each trade and each refund that was acknowledged has to have its
entries on the statements of its merchant at every site, once, with this amount and the fee that was agreed, and each settlement has to come to
them, with its payout. The exit status is 1 when anything is not so.

--ca names the certificate of the authority that you trust, given to you on another way than the file; without it that of the file
is taken, and its fingerprint is shown.`,
		Example: "  holdfast check receipt.json --keys keys.json\n  holdfast check out/evidence.json.gz\n  holdfast check out/evidence.json.gz --ca pki/ca.crt --json -",
		Args:    one("receipt or evidence file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := receiptIn(args[0])
			switch {
			case err != nil:
				return fmt.Errorf("read the receipt: %w", err)
			case text != nil:
				return checkReceipt(cmd, text, authority, keys, file)
			case keys != "":
				return badUsage(cmd, errors.New("--keys is for receipts, and this file is none: evidence of drills is checked with --ca"))
			}
			return checkEvidence(cmd, args[0], authority, file)
		},
	}
	cmd.Flags().StringVar(&authority, "ca", "", "`FILE` with the certificate of the authority that you trust; by default that in the evidence")
	cmd.Flags().StringVar(&keys, "keys", "", "`FILE` with the keys with which the sites sign receipts, saved before; by default those in the receipt")
	jsonFlag(cmd, &file)
	return cmd
}

// evidenceFlag adds --evidence FILE to a command that plays drills.
func evidenceFlag(cmd *cobra.Command, f *drillFlags) {
	cmd.Flags().StringVar(&f.evidence, "evidence", "", "have the sites sign their answers, and write them with the receipts of all transfers, trades and refunds to `FILE` for holdfast check (.gz: compressed)")
}

// writeEvidence writes what the sites have signed; without the flag it does nothing.
func writeEvidence(cmd *cobra.Command, all []*drill.Evidence, name string) error {
	if name == "" {
		return nil
	}
	f := evidence.File{Format: evidence.Format, Made: time.Now().UTC(), Program: versionOf().Version}
	for _, e := range all {
		if e.Signed != nil {
			f.Runs = append(f.Runs, *e.Signed)
		}
	}
	if err := evidence.Write(name, &f); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "evidence: %s; check it with holdfast check\n", name)
	return nil
}

func checkEvidence(cmd *cobra.Command, name, authority, jsonFile string) error {
	f, err := evidence.Read(name)
	if err != nil {
		return err
	}
	var trusted []byte
	if authority != "" {
		if trusted, err = os.ReadFile(authority); err != nil {
			return fmt.Errorf("read the certificate of the authority: %w", err)
		}
	}
	w := words(cmd, jsonFile)
	fmt.Fprintf(w, "Evidence of %d drills, made by Holdfast %s on %s.\n", len(f.Runs), f.Program, f.Made.Format("2 January 2006 at 15:04:05 MST"))
	ok := len(f.Runs) > 0
	verdicts := []evidence.Verdict{}
	for i := range f.Runs {
		v := f.Runs[i].Check(trusted)
		tellVerdict(w, &f.Runs[i], &v, authority)
		verdicts, ok = append(verdicts, v), ok && v.OK
	}
	return verdict(cmd, jsonFile, verdicts, ok)
}

func tellVerdict(w io.Writer, r *evidence.Run, v *evidence.Verdict, authority string) {
	p := paintFor(w)
	fmt.Fprintf(w, "\n%s  (seed %d)\n", p.bold(r.Scenario), r.Seed)
	if authority == "" {
		fmt.Fprintf(w, "  the authority is that of the file: SHA-256 %s\n", fingerprint([]byte(r.Authority)))
	}
	for _, text := range v.Proved {
		fmt.Fprintf(w, "  · %s\n", text)
	}
	for _, text := range v.Broken {
		fmt.Fprintf(w, "  %s %s\n", p.red("✘"), text)
	}
	if v.OK {
		fmt.Fprintf(w, "  %s every receipt is honoured, and nothing else happened\n", p.green("✔"))
	}
}

// fingerprint is that of the first certificate, as openssl x509 -fingerprint -sha256 shows it but for the colons.
func fingerprint(text []byte) string {
	block, _ := pem.Decode(text)
	if block == nil {
		return "of no certificate"
	}
	return fmt.Sprintf("%x", sha256.Sum256(block.Bytes))
}
