package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast/client"
	"holdfast/doctor"
)

func newDoctor() *cobra.Command {
	var t target
	var files []string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what would make a fleet fail, before it does",
		Long: `Look for what would make a fleet fail, before it does, and say what to do about each finding.

With --config it examines the configuration of a site and the machine it is for: carriers that share an address, a network or a
way out of the machine; certificates about to expire; the disk, by 200 synced writes; limits. Several files are compared.

With an API key in the environment (HOLDFAST_KEY; any role will do) it asks a running fleet: single losses that would not
be survived, capacity that would be missing then, carriers that are silent or lossy, clocks and versions that differ, replicas that
lag or have left service. Every site whose API it reaches is asked for its own clock and carriers; one that it does not reach is a
finding.

Every finding has a code, a severity (critical, warning, advice) and what to do. The exit status is 1 when there is one above
advice.`,
		Example: "  holdfast doctor --config hangzhou.toml\n  holdfast doctor --site http://127.0.0.1:8080 --json -",
		Args:    nothing,
		RunE:    func(cmd *cobra.Command, _ []string) error { return examine(cmd, &t, files) },
	}
	t.flags(cmd)
	cmd.Flags().StringArrayVar(&files, "config", nil, "`FILE` with the configuration of a site; may be given several times")
	return cmd
}

func examine(cmd *cobra.Command, t *target, files []string) error {
	if len(files) == 0 && os.Getenv(keyVariable) == "" {
		return badUsage(cmd, errors.New("there is nothing to look at: give --config FILE, or set "+keyVariable+" to ask a running fleet, or both"))
	}
	var looked []string
	var findings []doctor.Finding
	machines, err := inspect(files)
	if err != nil {
		return err
	}
	for _, m := range machines {
		looked = append(looked, m.File)
		findings = append(findings, doctor.ExamineMachine(m)...)
	}
	shards := 0
	if os.Getenv(keyVariable) != "" {
		fleet, silent, err := askAnyOf(cmd.Context(), t.site)
		findings = append(findings, silent...)
		switch {
		case err == nil:
			if len(machines) > 0 {
				fleet.RoundTrip = machines[0].Config.Timing.RoundTrip.Std()
			}
			looked, shards = append(looked, "the fleet at "+t.site), len(fleet.Shards)
			findings = append(findings, doctor.ExamineFleet(&fleet, time.Now())...)
		case len(machines) == 0:
			return err
		}
	}
	findings = append(findings, doctor.ExamineConfigs(machines, shards)...)
	r := doctor.NewReport(looked, findings)
	prescribe(words(cmd, t.file), &r)
	return verdict(cmd, t.file, r, r.Healthy)
}

// askAnyOf asks the first of some sites that answers, and has a finding for each before it that did not; err is that of the last when none did.
func askAnyOf(ctx context.Context, sites string) (fleet doctor.Fleet, silent []doctor.Finding, err error) {
	for base := range strings.SplitSeq(sites, ",") {
		base = strings.TrimSpace(base)
		fleet, err = doctor.Ask(ctx, base, func(base string) (*client.Client, error) {
			one := target{site: base}
			return one.client()
		})
		if err == nil {
			return fleet, silent, nil
		}
		silent = append(silent, doctor.Finding{
			Code: "site-silent", Severity: doctor.Critical, Where: base, What: "it was asked what it says of the fleet, and did not answer: " + err.Error(),
			Do: "look whether its process runs and its address is right; the others of --site are asked as well",
		})
	}
	return fleet, silent, err
}

func inspect(files []string) (list []*doctor.Machine, err error) {
	for _, file := range files {
		m, err := doctor.Inspect(file, time.Now())
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func prescribe(w io.Writer, r *doctor.Report) {
	fmt.Fprintf(w, "Looked at %s.\n", strings.Join(r.Looked, ", "))
	for _, f := range r.Findings {
		fmt.Fprintf(w, "\n%-8s  %s  [%s]\n          %s\n          To do: %s.\n", strings.ToUpper(string(f.Severity)), f.Where, f.Code, f.What, f.Do)
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(w, "\nNothing was found.")
	}
}
