package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is, and what it was built with",
		Long:    "Say which version this is, and what it was built with.",
		Example: "  holdfast version\n  holdfast version --json -",
		Args:    nothing,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := versionOf()
			fmt.Fprintf(words(cmd, file), "holdfast %s, %s, %s\n", v.Version, v.Go, v.Platform)
			return writeJSON(cmd, file, v)
		},
	}
	jsonFlag(cmd, &file)
	return cmd
}

type versionInfo struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// versionOf is the linked version, or what the compiler noted about the working copy.
func versionOf() versionInfo {
	v := versionInfo{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok && v.Version == "unknown" {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 7 {
				v.Version = s.Value[:7]
			}
		}
	}
	return v
}
